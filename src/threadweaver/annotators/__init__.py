"""Who answers the questions of the pipeline: one protocol, and a package per annotator."""

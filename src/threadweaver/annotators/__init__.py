"""The annotators that answer the questions of the pipeline: one protocol, one package per annotator."""

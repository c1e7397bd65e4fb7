"""Files that go into the folders of exports as they are, or with the numbers of the rows filled in."""

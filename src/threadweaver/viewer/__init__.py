"""The viewer: a folder of trajectories as a web page on this machine.

`runs` finds the stages that belong together, `scan` what became of every sample, `indexing` keeps the index in
`database`, `table` answers the list, `documents` and `stages` make one sample readable, `app` serves it all as JSON
beside the files of `static/`, `export` writes one self-contained page.
"""

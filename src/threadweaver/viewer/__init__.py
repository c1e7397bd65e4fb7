"""The viewer: a folder of trajectories as a web page on this machine.

`runs` finds the stages of a run, `scan` what became of every sample, `indexing` keeps the index in `database`, `table`
answers requests for the list, `documents` and `stages` present one sample, `app` serves all of it as JSON together with
the files of `static/`, `export` writes one self-contained page.
"""

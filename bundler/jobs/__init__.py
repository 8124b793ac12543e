"""Jobs: what a publication runs, with which parameters and files; on HPS (`bundler.hps`) or here.

In: a publication and parameters. Out: a submission (`submission`), or what a job does on this machine (`rehearsal`).
"""

"""Jobs that run a publication, on HPS (`bundler.hps`) or on this machine.

In: a publication and parameters. Out: a submission (`submission`), or a run on this machine (`rehearsal`).
"""

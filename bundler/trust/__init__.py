"""Signatures of bundles: who made or approved what is in a folder, checked with `ssh-keygen`.

In goes a bundle or publication and a key, or the file of allowed signers; out comes a file in `signatures/`, or the
signer.
"""

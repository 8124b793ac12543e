"""What somebody must know to approve a bundle: licences, origins, known vulnerabilities.

In go verified bundles, and an advisory snapshot for vulnerabilities; out come documents and tables. Nothing here needs
the network.
"""

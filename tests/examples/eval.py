# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "numpy",
#     "matplotlib",
# ]
# ///
"""Plots a sine wave into plot.png; the input parameter `frequency` stretches it."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

given = Path("input_parameters.json")
parameters = json.loads(given.read_text()) if given.exists() else {}
frequency = float(parameters.get("frequency", 1.0))

x = np.linspace(0, 2 * np.pi, 500)
y = np.sin(frequency * x)

figure, axes = plt.subplots()
axes.plot(x, y)
axes.set(
    xlabel="x", ylabel=f"sin({frequency:g} x)", title="A sine wave from a node without internet"
)
figure.savefig("plot.png")

Path("output_parameters.json").write_text(json.dumps({"maximum": float(y.max())}))
print(f"numpy {np.__version__}, matplotlib {matplotlib.__version__}: wrote plot.png")

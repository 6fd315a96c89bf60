"""How much each number speaks for each kind of pattern: written by `python benchmarks/patterns.py --write`.

A multinomial logistic regression on 240 simulated persons of each of six patterns, alone and among
their neighbours. No recording has taken part.
"""

KINDS = ("none", "SZ", "PD", "RDA")
INTERCEPTS = (-0.646, 0.481, 0.182, -0.018)
WEIGHTS = {
    # mean and spread of the number; weight of the standardised number for each of `KINDS`
    "wave": (0.452, 0.243, -0.058, 0.154, -0.308, 0.211),
    "again": (0.317, 0.294, -0.209, -0.101, -0.098, 0.408),
    "near": (0.404, 0.235, -0.768, 0.195, 0.183, 0.390),
    "sharp": (0.361, 0.187, -0.311, 0.025, 0.521, -0.235),
    "quick": (0.163, 0.281, 0.675, 0.063, -0.853, 0.115),
    "log_hz": (0.233, 0.628, -0.393, 0.387, 0.135, -0.129),
    "sharp_log_hz": (-0.008, 0.707, -0.255, 0.238, -0.024, 0.041),
    "duty": (0.324, 0.096, 0.303, 0.195, -1.094, 0.596),
    "delta": (0.732, 0.238, -0.671, -0.193, 0.015, 0.850),
    "theta": (0.200, 0.174, -0.462, 0.030, -0.082, 0.514),
    "steady": (0.568, 0.232, 0.139, -0.495, -0.424, 0.779),
    "least_steady": (0.456, 0.243, -0.388, 0.376, -0.120, 0.132),
    "fast": (1.128, 0.559, 0.070, 0.250, -0.413, 0.093),
    "trend": (0.248, 0.228, 0.145, 0.212, 0.019, -0.376),
    "unrest": (0.492, 0.307, 1.308, -1.164, -0.347, 0.202),
    "sharp_around": (0.273, 0.184, -0.180, 0.018, 0.620, -0.459),
    "again_around": (0.239, 0.272, -0.294, -0.494, -0.282, 1.070),
    "wave_around": (0.471, 0.232, -0.358, 0.497, 0.134, -0.274),
    "steady_around": (0.547, 0.218, 0.295, -0.064, -0.168, -0.063),
    "evolution": (0.487, 0.371, -0.061, 0.016, -0.177, 0.221),
}

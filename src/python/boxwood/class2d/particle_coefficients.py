"""Coefficients of the particle score, written by benchmarks/fit_particle_score.py; do not edit.

Fitted on 21840 picks (15540 of them particles) of simulated sets of
antibody, apoferritin, betagal, membrane, proteasome, ribosome.
A term adds weight (value - mean) / deviation to the log-odds that a pick is a particle; the fraction is
limited to 3 either way.
"""

# (intercept, {feature: (mean, standard deviation, weight)})
PARTICLES = (
    1.158,
    {
        # log-odds of the score of its class
        "class": (1.4434, 4.1014, 1.102),
        # log-likelihood of its class average over noise alone, in those of the median particle
        "evidence": (0.8447, 0.4988, 0.336),
        # part of its class average that is found in it
        "likeness": (1.0085, 0.2961, 0.332),
        # log of the low-frequency power that its class average leaves, in spreads above the usual
        "leftover": (0.1471, 1.2837, -0.719),
        # log of the standard deviation within the mask, in spreads below the usual
        "faint": (0.9521, 1.5527, -2.099),
        # log of the standard deviation within the mask, in spreads above the usual
        "strong": (0.3182, 0.5636, -0.177),
        # difference of the mean within the mask from the usual, in spreads
        "mean": (0.9524, 0.8364, -0.480),
    },
)

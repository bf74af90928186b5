"""Coefficients of the class score, written by benchmarks/fit_class_score.py; do not edit.

Fitted on 594 classes (372 good) of 30 simulated sets with 30 % false picks:
antibody, apoferritin, betagal, membrane, proteasome, ribosome. A term adds
weight (value - mean) / deviation to the log-odds that a class is good; the fraction is limited to 3 either
way. What each feature is, is said in `boxwood.class2d.class_features`.
"""

# (intercept, {feature: (mean, standard deviation, weight)})
WITH_HALVES = (
    0.764,
    {
        # log of (mean of the object - mean of its surroundings) / standard deviation of the surroundings
        "contrast": (1.3946, 0.3483, 1.121),
        # log of the standard deviation in the outer 15 % of the mask's radius over that in the whole mask
        "border": (-0.8164, 0.5330, -1.113),
        # distance of the object's centre of mass from the centre, in radii of the mask
        "centre": (0.0848, 0.0757, -0.320),
        # absolute difference of the log of the object's radius of gyration from that of the median class
        "size": (0.1619, 0.1855, -1.073),
        # log of the power at 3 to 6 cycles per diameter over that below 3, above the median class's
        "detail": (-0.0787, 0.5339, 0.558),
        # log of the smallest shift that its particles notice over that of the median class
        "placing": (0.0808, 0.2638, -1.235),
        # mean Fourier ring correlation of its two halves, 3 to 6 cycles per diameter
        "halves": (0.7667, 0.1770, 1.791),
    },
)
WITHOUT_HALVES = (
    0.951,
    {
        # log of (mean of the object - mean of its surroundings) / standard deviation of the surroundings
        "contrast": (1.3946, 0.3483, 1.554),
        # log of the standard deviation in the outer 15 % of the mask's radius over that in the whole mask
        "border": (-0.8164, 0.5330, -1.516),
        # distance of the object's centre of mass from the centre, in radii of the mask
        "centre": (0.0848, 0.0757, -0.169),
        # absolute difference of the log of the object's radius of gyration from that of the median class
        "size": (0.1619, 0.1855, -1.230),
        # log of the power at 3 to 6 cycles per diameter over that below 3, above the median class's
        "detail": (-0.0787, 0.5339, 0.965),
        # log of the smallest shift that its particles notice over that of the median class
        "placing": (0.0808, 0.2638, -1.221),
    },
)

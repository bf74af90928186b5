"""`run_itNNN_optimiser.star` and `run_itNNN_sampling.star`: the settings of a 2D classification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Every key of the two dialects in RELION's order, with the value it has where a 2D classification by
# expectation-maximisation makes no use of it. "=" stands for what `optimiser_table` must be given.
_KEYS = """
both OutputRootName =
both ModelStarFile =
both ExperimentalDataStarFile =
5    TomoTomogramsFile ""
5    TomoTrajectoriesFile ""
both OrientSamplingStarFile =
both CurrentIteration =
both NumberOfIterations =
both DoSplitRandomHalves 0
both JoinHalvesUntilThisResolution -1.
both AdaptiveOversampleOrder 1
both AdaptiveOversampleFraction 0.999
both RandomSeed =
both ParticleDiameter =
both WidthMaskEdge 5
both DoZeroMask =
both DoSolventFlattening 1
both DoSolventFscCorrection 0
both SolventMaskName None
both SolventMask2Name None
both BodyStarFile None
both TauSpectrumName None
both MaximumCoarseImageSize -1
both HighresLimitExpectation =
both LowresLimitExpectation =
both IncrementImageSize 10
both DoMapEstimation 1
both DoFastSubsetOptimisation =
both DoExternalReconstruct 0
5    DoBlush 0
5    BlushNoSpectralTrailing 0
5    DoGradientRefine 0
both DoStochasticGradientDescent 0
5    GradEmIters 0
5    GradHasConverged 0
5    GradCurrentStepsize 0.
5    GradSubsetOrder 0
5    GradSuspendFinerSamplingIter -1
5    GradSuspendLocalSamplingIter -1
5    SgdInitialIterationsFraction 0.3
5    SgdFinalIterationsFraction 0.2
5    SgdMinimumResolution 20.
3.1  DoStochasticEM 0
3.1  SgdInitialIterations 50
3.1  SgdFinalIterations 50
3.1  SgdInBetweenIterations 200
3.1  SgdInitialResolution 35.
3.1  SgdFinalResolution 15.
3.1  SgdInitialSubsetSize 100
3.1  SgdFinalSubsetSize 500
5    SgdInitialResolution -1.
5    SgdFinalResolution -1.
5    SgdInitialSubsetSize -1
5    SgdFinalSubsetSize -1
both SgdMuFactor 0.
3.1  SgdSigma2FudgeInitial 8.
3.1  SgdSigma2FudgeHalflife -1
both SgdSkipAnneal 0
5    SgdClassInactivityThreshold 0.
both SgdSubsetSize -1
3.1  SgdWriteEverySubset 1
3.1  SgdStepsize 0.5
5    SgdWriteEverySubset 10
5    SgdStepsize -1.
5    SgdStepsizeScheme ""
5    Tau2FudgeScheme ""
5    Tau2FudgeArg =
5    MaximumSignificantPoses -1
both DoAutoRefine 0
5    DoAutoSampling 0
both AutoLocalSearchesHealpixOrder 4
both NumberOfIterWithoutResolutionGain =
both BestResolutionThusFar =
both NumberOfIterWithoutChangingAssignments =
both DoSkipAlign =
both DoSkipRotate =
both OverallAccuracyRotations =
both OverallAccuracyTranslationsAngst =
both ChangesOptimalOrientations =
both ChangesOptimalOffsets =
both ChangesOptimalClasses =
both SmallestChangesOrientations =
both SmallestChangesOffsets =
both SmallestChangesClasses =
both LocalSymmetryFile None
both DoHelicalRefine 0
both IgnoreHelicalSymmetry 0
both FourierMask None
both HelicalTwistInitial 0.
both HelicalRiseInitial 0.
both HelicalCentralProportion 0.3
both NrHelicalNStart 1
both HelicalMaskTubeInnerDiameter -1.
both HelicalMaskTubeOuterDiameter -1.
both HelicalSymmetryLocalRefinement 0
both HelicalSigmaDistance -1.
both HelicalKeepTiltPriorFixed 0
both HasConverged =
both HasHighFscAtResolLimit 0
both HasLargeSizeIncreaseIterationsAgo 0
both DoCorrectNorm =
both DoCorrectScale =
both DoCorrectCtf =
5    DoCenterClasses =
both DoIgnoreCtfUntilFirstPeak =
both CtfDataArePhaseFlipped =
both DoOnlyFlipCtfPhases 0
both RefsAreCtfCorrected 1
both FixSigmaNoiseEstimates 0
both FixSigmaOffsetEstimates 0
both MaxNumberOfPooledParticles 1
5    OffsetRangeX -1.
5    OffsetRangeY -1.
5    OffsetRangeZ -1.
"""
# RELION searches a coarse grid, each cell of which it then divides in two (rlnAdaptiveOversampleOrder 1).
_COARSE = 2.0


def optimiser_table(given: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    """All keys of `data_optimiser_general`, with `given` values by label; a dialect leaves out what it lacks.

    Raises
    ------
    KeyError
        A value is missing that every classification has.
    """
    table = {}
    for line in _KEYS.split("\n")[1:-1]:
        where, key, text = line.split()
        label = f"rln{key}"
        if where in ("both", dialect):
            table[label] = given[label] if text == "=" else _value(text)
    return table


def _value(text: str) -> Any:
    if text in ('""', "None"):
        return text.strip('"')
    return float(text) if "." in text else int(text)


def sampling_table(
    psi_step_deg: float,
    offset_range_angstrom: float,
    offset_step_angstrom: float,
    perturbation: float = 0.0,
) -> dict[str, Any]:
    """`data_sampling_general` for a grid of these (fine) steps, moved by a part of the coarse ones."""
    psi, step = _COARSE * psi_step_deg, _COARSE * offset_step_angstrom
    return {
        "rlnIs3DSampling": 0,
        "rlnIs3DTranslationalSampling": 0,
        "rlnPsiStep": psi,
        "rlnOffsetRange": offset_range_angstrom,
        "rlnOffsetStep": step,
        "rlnHelicalOffsetStep": -1.0,
        "rlnSamplingPerturbInstance": perturbation,
        "rlnSamplingPerturbFactor": 0.5,
        "rlnHealpixOrderOriginal": 2,
        "rlnPsiStepOriginal": psi,
        "rlnOffsetRangeOriginal": offset_range_angstrom,
        "rlnOffsetStepOriginal": step,
    }


def fine_sampling(sampling: Mapping[str, Any], oversampling: int) -> tuple[float, float, float]:
    """Step of the angle, range and step of the offsets (degree, Å, Å) after oversampling."""
    fine = 2.0**oversampling
    return (
        float(sampling["rlnPsiStep"]) / fine,
        float(sampling["rlnOffsetRange"]),
        float(sampling["rlnOffsetStep"]) / fine,
    )

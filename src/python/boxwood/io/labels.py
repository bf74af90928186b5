"""Every metadata label of RELION 3.0 to 5, and our own: its type, its unit and, for those users meet, a text.

The type decides how a column is read and written: a micrograph called ``0001`` stays text because
``rlnMicrographName`` is text, and ``300`` in ``rlnVoltage`` is written ``300.000000``.
Labels not listed here are read by their looks and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "int", "bool", "str"]


@dataclass(frozen=True)
class Label:
    """One metadata label.

    Attributes
    ----------
    name : str
        Without the leading underscore, e.g. ``rlnDefocusU``.
    kind : {"float", "int", "bool", "str"}
    unit : str
        ``A`` stands for Angstrom; empty where there is none.
    help : str
        Empty for labels that only programs read.
    """

    name: str
    kind: Kind
    unit: str
    help: str


_NAMES: dict[tuple[Kind, str], str] = {
    ("bool", ""): """
        AnglePsiFlip BlushNoSpectralTrailing CtfDataAreCtfPremultiplied CtfDataArePhaseFlipped
        DoAutoRefine DoAutoSampling DoBlush DoCenterClasses DoCorrectCtf DoCorrectMagnification
        DoCorrectNorm DoCorrectScale DoExternalReconstruct DoFastSubsetOptimisation DoGradientRefine
        DoHelicalRefine DoIgnoreCtfUntilFirstPeak DoMapEstimation DoOnlyFlipCtfPhases DoRealignMovies
        DoSkipAlign DoSkipRotate DoSolventFlattening DoSolventFscCorrection DoSplitRandomHalves
        DoStochasticEM DoStochasticGradientDescent DoZeroMask Enabled FixSigmaNoiseEstimates
        FixSigmaOffsetEstimates FixTauEstimates GradHasConverged HasConverged HasHighFscAtResolLimit
        HelicalKeepTiltPriorFixed HelicalSymmetryLocalRefinement IgnoreHelicalSymmetry Is3DSampling
        Is3DTranslationalSampling IsFlip IsHelix JobIsContinue JobIsTomo RefsAreCtfCorrected
        ScheduleBooleanVariableResetValue ScheduleBooleanVariableValue ScheduleEdgeIsFork
        ScheduleJobHasStarted SchemeBooleanVariableResetValue SchemeBooleanVariableValue
        SchemeEdgeIsFork SchemeJobHasStarted SgdSkipAnneal UseTooCoarseSampling
    """,
    ("float", ""): """
        AdaptiveOversampleFraction AmplitudeContrast AmplitudeCorrelationMaskedMaps
        AmplitudeCorrelationUnmaskedMaps AnglePsiFlipRatio AngleRotFlipRatio AutopickFigureOfMerit
        AvailableMemory AveragePmax AverageValue BestResolutionThusFar BfactorUsedForSharpening
        BodyRotateDirectionX BodyRotateDirectionY BodyRotateDirectionZ ChangesOptimalClasses
        ClassDistribution ClassScore CorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps
        CorrelationFitGuinierPlot CtfFigureOfMerit CtfIceRingDensity CtfScalefactor CtfValidationScore
        CtfValue Diff2RandomHalves DifferentialPhaseResidualMaskedMaps
        DifferentialPhaseResidualUnmaskedMaps FittedInterceptGuinierPlot FittedSlopeGuinierPlot
        FourierCompleteness FourierShellCorrelation FourierShellCorrelationCorrected
        FourierShellCorrelationMaskedMaps FourierShellCorrelationParticleMaskFraction
        FourierShellCorrelationParticleMolWeight FourierShellCorrelationUnmaskedMaps GoldStandardFsc
        GradCurrentStepsize GroupScaleCorrection HelicalCentralProportion HelicalSigmaDistance
        ImageWeight JobOptionSliderMax JobOptionSliderMin JobOptionSliderStep KullbackLeiblerDivergence
        KurtosisExcessValue LensStability LogAmplitudesIntercept LogAmplitudesMTFCorrected
        LogAmplitudesOriginal LogAmplitudesSharpened LogAmplitudesWeighted LogLikeliContribution
        LogLikelihood MagMat00 MagMat01 MagMat10 MagMat11 Magnification MagnificationCorrection
        MagnificationSearchRange MagnificationSearchStep Matrix_1_1 Matrix_1_2 Matrix_1_3 Matrix_2_1
        Matrix_2_2 Matrix_2_3 Matrix_3_1 Matrix_3_2 Matrix_3_3 MaxValueProbDistribution MaximumValue
        MicrographBinning MinimumValue MotionModelCoeff MtfValue NormCorrection NormCorrectionAverage
        OrientationDistribution OverallFourierCompleteness PaddingFactor
        ParticleBoxFractionMolecularWeight ParticleBoxFractionSolventMask ParticleFigureOfMerit
        ParticleSelectZScore PerFrameCumulativeWeight PerFrameRelativeWeight PredictedClassScore
        ReferenceSigma2 ReferenceSpectralPower ReferenceTau2 SamplingPerturbFactor
        SamplingPerturbInstance ScheduleFloatVariableResetValue ScheduleFloatVariableValue
        SchemeFloatVariableResetValue SchemeFloatVariableValue SgdClassInactivityThreshold
        SgdFinalIterationsFraction SgdInitialIterationsFraction SgdMuFactor SgdSigma2FudgeInitial
        SgdStepsize Sigma2Noise SignalToNoiseRatio SkewnessValue SpectralOrientabilityContribution
        SsnrMap StandardDeviationValue Tau2FudgeArg Tau2FudgeFactor
    """,
    ("float", "1/A"): """
        Resolution
    """,
    ("float", "1/A^2"): """
        ResolutionSquared
    """,
    ("float", "1/px"): """
        ResolutionInversePixel
    """,
    ("float", "A"): """
        AccumMotionEarly AccumMotionLate AccumMotionTotal AccuracyTranslationsAngst AngstromResolution
        BodySigmaOffsetAngst ClassPriorOffsetX ClassPriorOffsetY CtfAstigmatism CtfMaxResolution
        CurrentResolution DefocusU DefocusV EstimatedResolution FinalResolution
        HelicalMaskTubeInnerDiameter HelicalMaskTubeOuterDiameter HelicalOffsetStep HelicalRise
        HelicalRiseInitial HelicalRiseInitialStep HelicalRiseMax HelicalRiseMin HelicalTrackLengthAngst
        HelicalTubePitch HighresLimitExpectation HighresLimitSGD ImagePixelSize
        JoinHalvesUntilThisResolution LongitudinalDisplacement LowresLimitExpectation
        MicrographOriginalPixelSize MicrographPixelSize OffsetRange OffsetRangeOriginal OffsetRangeX
        OffsetRangeY OffsetRangeZ OffsetStep OffsetStepOriginal OriginXAngst OriginXPriorAngst
        OriginYAngst OriginYPriorAngst OriginZAngst OriginZPriorAngst OverallAccuracyTranslationsAngst
        ParticleDiameter PixelSize RandomiseFrom SamplingRate SamplingRateX SamplingRateY SamplingRateZ
        SgdFinalResolution SgdInitialResolution SgdMinimumResolution SigmaOffsetsAngst
        TransversalDisplacement
    """,
    ("float", "A^2"): """
        CtfBfactor
    """,
    ("float", "deg"): """
        AccuracyRotations AnglePsi AnglePsiPrior AngleRot AngleRotPrior AngleTilt AngleTiltPrior
        BodySigmaAngles BodySigmaPsi BodySigmaRot BodySigmaTilt ChangesOptimalOrientations DefocusAngle
        HelicalTwist HelicalTwistInitial HelicalTwistInitialStep HelicalTwistMax HelicalTwistMin
        MicrographTiltAngle MicrographTiltAxisDirection MicrographTiltAxisOutOfPlane
        OverallAccuracyRotations PhaseShift PsiStep PsiStepOriginal SigmaPriorPsiAngle
        SigmaPriorRotAngle SigmaPriorTiltAngle SmallestChangesOrientations TiltAngleLimit
    """,
    ("float", "e/A^2"): """
        MicrographDoseRate MicrographPreExposure
    """,
    ("float", "eV"): """
        EnergyLoss
    """,
    ("float", "kDa"): """
        MolecularWeight
    """,
    ("float", "kV"): """
        Voltage
    """,
    ("float", "mm"): """
        ChromaticAberration SphericalAberration
    """,
    ("float", "mrad"): """
        BeamTiltX BeamTiltY ConvergenceCone
    """,
    ("float", "px"): """
        AccuracyTranslations BodySigmaOffset ChangesOptimalOffsets CoordinateX CoordinateY CoordinateZ
        HelicalTrackLength MicrographShiftX MicrographShiftY OriginX OriginXPrior OriginY OriginYPrior
        OriginZ OriginZPrior OverallAccuracyTranslations SigmaOffsets SmallestChangesOffsets
    """,
    ("float", "um"): """
        DetectorPixelSize
    """,
    ("int", ""): """
        AdaptiveOversampleOrder AreaId AutoLocalSearchesHealpixOrder AverageNrOfFrames BeamTiltClass
        BodyKeepFixed BodyRotateRelativeTo ClassNumber CurrentIteration DataDimensionality DataType
        EERGrouping EERUpsampling FourierSpaceInterpolator GradEmIters GradSubsetOrder
        GradSuspendFinerSamplingIter GradSuspendLocalSamplingIter GroupNrParticles GroupNumber
        HasLargeSizeIncreaseIterationsAgo HealpixOrder HealpixOrderOriginal HelicalTubeID
        ImageDimensionality ImageId JobType JoboptionType MaxNumberOfPooledParticles
        MaximumSignificantPoses MicrographEndFrame MicrographFrameNumber MicrographId
        MicrographStartFrame MinRadiusNnInterpolation MotionModelCoeffsIdx MotionModelVersion
        MovieFrameNumber MovieFramesRunningAverage NrBodies NrClasses NrGroups NrHelicalAsymUnits
        NrHelicalNStart NrOfFrames NrOfSignificantSamples NrOpticsGroups
        NumberOfIterWithoutChangingAssignments NumberOfIterWithoutResolutionGain NumberOfIterations
        OpticsGroup OrientationalPriorMode OrientationsID ParticleId ParticleNumber
        ParticleSelectionType PipeLineJobCounter PipeLineNodeType PipeLineNodeTypeLabelDepth
        PipeLineProcessStatus PipeLineProcessType RandomSeed RandomSubset ReferenceDimensionality
        ScheduleEdgeNumber Selected SgdFinalIterations SgdFinalSubsetSize SgdInBetweenIterations
        SgdInitialIterations SgdInitialSubsetSize SgdMaxSubsets SgdSigma2FudgeHalflife SgdSubsetSize
        SgdWriteEverySubset SmallestChangesClasses SortedIndex SpectralIndex
    """,
    ("int", "px"): """
        CoarseImageSize CurrentImageSize ImageSize ImageSizeX ImageSizeY ImageSizeZ IncrementImageSize
        MaximumCoarseImageSize OriginalImageSize RadiusMaskExpImages RadiusMaskMap WidthMaskEdge
    """,
    ("str", ""): """
        AreaName BodyMaskName BodyReferenceName BodyStarFile Comment CtfImage CtfPowerSpectrum
        EvenZernike ExperimentalDataStarFile ExtReconsDataImag ExtReconsDataReal ExtReconsResult
        ExtReconsResultStarfile ExtReconsWeight FourierMask GradMoment1 GradMoment2 GroupName ImageName
        ImageOriginalName JobOptionDefaultValue JobOptionDirectoryDefault JobOptionFilePattern
        JobOptionGUILabel JobOptionHelpText JobOptionMenuOptions JobOptionValue JobOptionVariable
        JobTypeLabel JobTypeName LocalSymmetryFile MaskName MicrographCoordinates MicrographDefectFile
        MicrographGainName MicrographMetadata MicrographMovieName MicrographName MicrographNameNoDW
        ModelStarFile ModelStarFile2 MtfFileName OddZernike OpticsGroupName OpticsStarFile
        OrientSamplingStarFile OriginalParticleName OutputRootName ParticleName PipeLineEdgeFromNode
        PipeLineEdgeProcess PipeLineEdgeToNode PipeLineNodeName PipeLineNodeTypeLabel
        PipeLineProcessAlias PipeLineProcessName PipeLineProcessStatusLabel PipeLineProcessTypeLabel
        ReconstructImageName ReferenceImage SGDGradientImage ScheduleBooleanVariableName
        ScheduleCurrentNodeName ScheduleEdgeBooleanVariable ScheduleEdgeInputNodeName
        ScheduleEdgeOutputNodeName ScheduleEdgeOutputNodeNameIfTrue ScheduleEmailAddress
        ScheduleFloatVariableName ScheduleJobMode ScheduleJobName ScheduleJobNameOriginal ScheduleName
        ScheduleOperatorInput1 ScheduleOperatorInput2 ScheduleOperatorName ScheduleOperatorOutput
        ScheduleOperatorType ScheduleOriginalStartNodeName ScheduleStringVariableName
        ScheduleStringVariableResetValue ScheduleStringVariableValue SchemeBooleanVariableName
        SchemeCurrentNodeName SchemeEdgeBooleanVariable SchemeEdgeInputNodeName SchemeEdgeOutputNodeName
        SchemeEdgeOutputNodeNameIfTrue SchemeEmailAddress SchemeFloatVariableName SchemeJobMode
        SchemeJobName SchemeJobNameOriginal SchemeName SchemeOperatorInput1 SchemeOperatorInput2
        SchemeOperatorName SchemeOperatorOutput SchemeOperatorType SchemeOriginalStartNodeName
        SchemeStringVariableName SchemeStringVariableResetValue SchemeStringVariableValue
        SgdStepsizeScheme SolventMask2Name SolventMaskName StarFileMovieParticles SymmetryGroup
        Tau2FudgeScheme TauSpectrumName TomoName TomoTomogramsFile TomoTrajectoriesFile
        UnfilteredMapHalf1 UnfilteredMapHalf2 UnknownLabel
    """,
}

_HELP = {
    "AmplitudeContrast": "fraction of amplitude contrast",
    "AnglePsi": "rotation in the image plane",
    "AngleRot": "first Euler angle",
    "AngleTilt": "second Euler angle",
    "AutopickFigureOfMerit": "score of a pick; higher is better",
    "AverageNrOfFrames": "movie frames averaged",
    "AveragePmax": "mean over images of the most probable pose's probability",
    "BeamTiltX": "beam tilt along x",
    "BeamTiltY": "beam tilt along y",
    "ClassDistribution": "share of the images in a class",
    "ClassNumber": "class an image belongs to, from 1",
    "ClassPriorOffsetX": "mean offset along x of a class",
    "ClassPriorOffsetY": "mean offset along y of a class",
    "ClassScore": "quality of a class average, 0 to 1",
    "CoordinateX": "centre of a particle along x, from 0, in pixels of the micrograph",
    "CoordinateY": "centre of a particle along y, from 0, in pixels of the micrograph",
    "CtfAstigmatism": "absolute difference between the two defocus values",
    "CtfBfactor": "fall-off of the CTF's amplitude",
    "CtfDataAreCtfPremultiplied": "images are multiplied by their CTF already",
    "CtfDataArePhaseFlipped": "images are phase-flipped already",
    "CtfFigureOfMerit": "how well the CTF fits the power spectrum",
    "CtfImage": "picture of the power spectrum with its fit",
    "CtfMaxResolution": "resolution up to which Thon rings fit",
    "CtfScalefactor": "factor on the CTF",
    "DefocusAngle": "from x to the direction of defocus U",
    "DefocusU": "defocus along the first axis; positive means underfocus",
    "DefocusV": "defocus along the second axis; positive means underfocus",
    "DetectorPixelSize": "pixel of the detector; with the magnification it gives the pixel size (RELION 3.0)",
    "EstimatedResolution": "resolution of a class average",
    "EvenZernike": "symmetric aberrations",
    "GroupName": "images of a group share noise and scale",
    "GroupNumber": "number of the group, from 1",
    "GroupNrParticles": "images in a group",
    "GroupScaleCorrection": "intensity of a group",
    "HelicalTubeID": "helix a segment belongs to",
    "ImageDimensionality": "2 for images, 3 for volumes",
    "ImageName": "NUMBER@STACK, numbers from 1",
    "ImageOriginalName": "image before it was moved or changed",
    "ImagePixelSize": "pixel of the particle images",
    "ImageSize": "edge of the particle images",
    "LogLikeliContribution": "log-likelihood of an image",
    "Magnification": "with the detector's pixel it gives the pixel size (RELION 3.0)",
    "MaxValueProbDistribution": "probability of the most probable pose",
    "MicrographCoordinates": "file with the picks of a micrograph",
    "MicrographName": "image file of the micrograph",
    "MicrographOriginalPixelSize": "pixel of the movie",
    "MicrographPixelSize": "pixel of the micrograph",
    "MtfFileName": "modulation transfer function of the detector",
    "NormCorrection": "scale that normalises an image",
    "NrOfSignificantSamples": "poses that carry 99.9 % of the probability",
    "OddZernike": "antisymmetric aberrations",
    "OpticsGroup": "number of the optics group, from 1",
    "OpticsGroupName": "name of the optics group",
    "OriginX": "shift that centres an image, in its pixels (RELION 3.0)",
    "OriginXAngst": "shift along x that centres an image",
    "OriginY": "shift that centres an image, in its pixels (RELION 3.0)",
    "OriginYAngst": "shift along y that centres an image",
    "OverallFourierCompleteness": "share of coefficients with signal above noise",
    "ParticleSelectZScore": "how far an image is from its class; high is odd",
    "ParticleSelectionType": "colour group of a manual pick",
    "PhaseShift": "shift by a phase plate",
    "PixelSize": "pixel of references and images",
    "PredictedClassScore": "quality of a class average, 0 to 1",
    "RandomSubset": "half-set, 1 or 2",
    "ReferenceImage": "NUMBER@STACK of a class average",
    "Selected": "1 where a row was chosen",
    "SphericalAberration": "spherical aberration of the objective lens",
    "Voltage": "acceleration voltage",
}

# Labels of our own: name, type, unit, help.
_OWN: list[tuple[str, Kind, str, str]] = [
    ("AccuracyOffsetPx", "float", "px", "smallest shift that a particle of the best class would notice"),
    ("AccuracyPsiDeg", "float", "deg", "smallest rotation that a particle of the best class would notice"),
    ("AssignmentEntropy", "float", "nat", "mean entropy of the class probabilities of a class's particles"),
    ("ChangedClasses", "float", "", "share of the particles that changed class"),
    ("ChangedOffsetPx", "float", "px", "root mean square change of the offsets"),
    ("ChangedPsiDeg", "float", "deg", "root mean square change of the in-plane angles"),
    ("CryosparcUid", "str", "", "number of a particle in cryoSPARC"),
    ("EffectiveClasses", "float", "", "exponential of the entropy of the classes' shares"),
    ("EffectiveSampleSize", "float", "", "effective number of particles of a class"),
    ("Entropy", "float", "nat", "entropy of the posterior, mean over particles"),
    ("HalfSetFrc", "float", "", "Fourier ring correlation of the averages of two halves of the particles"),
    ("HalfSetResolution", "float", "A", "resolution where that correlation falls below 0.5"),
    ("HalfSetResolutionAngstrom", "float", "A", "the same of the best class"),
    ("LargestClass", "float", "", "share of the largest class"),
    ("LargestProbability", "float", "", "probability of the most probable pose, mean over particles"),
    ("LogLikelihood", "float", "", "mean over particles"),
    ("PopulatedClasses", "int", "", "classes with at least one particle"),
    ("RefilledClasses", "int", "", "classes that were given up and refilled"),
    ("ResolutionAngstrom", "float", "A", "resolution of the best class"),
]

LABELS: dict[str, Label] = {
    f"rln{name}": Label(f"rln{name}", kind, unit, _HELP.get(name, ""))
    for (kind, unit), names in _NAMES.items()
    for name in names.split()
} | {f"bw{name}": Label(f"bw{name}", kind, unit, help) for name, kind, unit, help in _OWN}


def kind_of(label: str) -> Kind | None:
    """Type of a label's values, or None where the label is unknown."""
    known = LABELS.get(label)
    return known.kind if known else None

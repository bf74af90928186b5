"""The fields of RELION's forms: their labels, which RELION has them, and what they say at first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FormField:
    """A field of a form.

    Attributes
    ----------
    label : str
        By which run.job, the file of RELION 3, names it; empty where there is none.
    default : str
    of : str
        The RELIONs whose form has it: 0 for 3.0, 1 for 3.1, 5 for 4 and 5.
    five : str or None
        The default of RELION 4 and 5, where it differs.
    """

    label: str
    default: str
    of: str = "015"
    five: str | None = None


# The tab "Running", which is in every form; the environment decides what it says at first.
RUNNING = {
    "do_queue": FormField("Submit to queue?", "No"),
    "min_dedicated": FormField("Minimum dedicated cores per node:", "1"),
    "other_args": FormField("Additional arguments:", ""),
    "qsub": FormField("Queue submit command:", "qsub"),
    "qsubscript": FormField("Standard submission script:", "/public/EM/RELION/relion/bin/relion_qsub.csh"),
    "queuename": FormField("Queue name: ", "openmpi"),
}
_ENVIRONMENT = {
    "min_dedicated": "RELION_MINIMUM_DEDICATED",
    "qsub": "RELION_QSUB_COMMAND",
    "qsubscript": "RELION_QSUB_TEMPLATE",
    "queuename": "RELION_QUEUE_NAME",
}
# How RELION spreads its work over processes, queues and disks; boxwood does so by `--threads`.
MACHINE = {
    *RUNNING.keys() - {"other_args"},
    *("nr_mpi", "nr_threads", "nr_pool", "do_parallel_discio", "do_preread_images", "do_combine_thru_disc"),
    *("use_gpu", "gpu_ids"),
}
# By the number of the job type; those of RUNNING are in every form.
FORMS: dict[int, dict[str, FormField]] = {
    0: {  # Import
        "Cs": FormField("Spherical aberration (mm):", "2.7"),
        "Q0": FormField("Amplitude contrast:", "0.1"),
        "angpix": FormField("Pixel size (Angstrom):", "1.4"),
        "beamtilt_x": FormField("Beamtilt in X (mrad):", "0"),
        "beamtilt_y": FormField("Beamtilt in Y (mrad):", "0"),
        "do_other": FormField("Import other node types?", "No"),
        "do_raw": FormField("Import raw movies/micrographs?", "Yes"),
        "fn_in_other": FormField("Input file:", "ref.mrc"),
        "fn_in_raw": FormField("Raw input files:", "Micrographs/*.tif"),
        "fn_mtf": FormField("MTF of the detector:", ""),
        "is_multiframe": FormField("Are these multi-frame movies?", "Yes"),
        "kV": FormField("Voltage (kV):", "300"),
        "node_type": FormField("Node type:", "Particle coordinates (*.box, *_pick.star)"),
        "optics_group_name": FormField("Optics group name:", "opticsGroup1"),
        "optics_group_particles": FormField("Rename optics group for particles:", ""),
    },
    3: {  # ManualPick
        "angpix": FormField("Pixel size (A)", "-1"),
        "black_val": FormField("Black value:", "0"),
        "blue_value": FormField("Blue value: ", "0"),
        "color_label": FormField(
            "MetaDataLabel for color:", "rlnParticleSelectZScore", five="rlnAutopickFigureOfMerit"
        ),
        "ctfscale": FormField("Scale for CTF image:", "1", "01"),
        "diameter": FormField("Particle diameter (A):", "100"),
        "do_color": FormField("Blue<>red color particles?", "No"),
        "do_fom_threshold": FormField("", "No", "5"),
        "do_startend": FormField("Pick start-end coordinates helices?", "No"),
        "do_topaz_denoise": FormField("", "No", "5"),
        "fn_color": FormField("STAR file with color label: ", ""),
        "fn_in": FormField("Input micrographs:", ""),
        "highpass": FormField("Highpass filter (A)", "-1"),
        "lowpass": FormField("Lowpass filter (A)", "20"),
        "micscale": FormField("Scale for micrographs:", "0.2"),
        "minimum_pick_fom": FormField("", "0", "5"),
        "red_value": FormField("Red value: ", "2"),
        "sigma_contrast": FormField("Sigma contrast:", "3"),
        "white_val": FormField("White value:", "0"),
    },
    4: {  # AutoPick
        "angpix": FormField("Pixel size in micrographs (A)", "-1"),
        "angpix_ref": FormField("Pixel size in references (A)", "-1"),
        "continue_manual": FormField("", "No", "5"),
        "do_amyloid": FormField("Pick amyloid segments?", "No"),
        "do_ctf_autopick": FormField("Are References CTF corrected?", "Yes"),
        "do_ignore_first_ctfpeak_autopick": FormField("Ignore CTFs until first peak?", "No"),
        "do_invert_refs": FormField("References have inverted contrast?", "Yes"),
        "do_log": FormField("OR: use Laplacian-of-Gaussian?", "No"),
        "do_pick_helical_segments": FormField("Pick 2D helical segments?", "No"),
        "do_read_fom_maps": FormField("Read FOM maps?", "No"),
        "do_ref3d": FormField("OR: provide a 3D reference?", "No"),
        "do_refs": FormField("", "No", "5"),
        "do_topaz": FormField("", "No", "5"),
        "do_topaz_filaments": FormField("", "No", "5"),
        "do_topaz_pick": FormField("", "No", "5"),
        "do_topaz_train": FormField("", "No", "5"),
        "do_topaz_train_parts": FormField("", "No", "5"),
        "do_write_fom_maps": FormField("Write FOM maps?", "No"),
        "fn_input_autopick": FormField("Input micrographs for autopick:", ""),
        "fn_ref3d_autopick": FormField("3D reference:", ""),
        "fn_refs_autopick": FormField("2D references:", ""),
        "fn_topaz_exe": FormField("", "relion_python_topaz", "5"),
        "gpu_ids": FormField("Which GPUs to use:", ""),
        "helical_nr_asu": FormField("Number of unique asymmetrical units:", "1"),
        "helical_rise": FormField("Helical rise (A):", "-1"),
        "helical_tube_kappa_max": FormField("Maximum curvature (kappa): ", "0.1"),
        "helical_tube_length_min": FormField("Minimum length (A): ", "-1"),
        "helical_tube_outer_diameter": FormField("Tube diameter (A): ", "200"),
        "highpass": FormField("Highpass filter (A)", "-1"),
        "log_adjust_thr": FormField("Adjust default threshold (stddev):", "0"),
        "log_diam_max": FormField("Max. diameter for LoG filter (A)", "250"),
        "log_diam_min": FormField("Min. diameter for LoG filter (A)", "200"),
        "log_invert": FormField("Are the particles white?", "No"),
        "log_maxres": FormField("Maximum resolution to consider (A)", "20"),
        "log_upper_thr": FormField("Upper threshold (stddev):", "999"),
        "lowpass": FormField("Lowpass filter references (A)", "20"),
        "maxstddevnoise_autopick": FormField("Maximum stddev noise:", "1.1"),
        "minavgnoise_autopick": FormField("Minimum avg noise:", "-999"),
        "mindist_autopick": FormField("Minimum inter-particle distance (A):", "100"),
        "nr_mpi": FormField("Number of MPI procs:", "1"),
        "particle_diameter": FormField("Mask diameter (A)", "-1", "01"),
        "psi_sampling_autopick": FormField("In-plane angular sampling (deg)", "5"),
        "ref3d_sampling": FormField("3D angular sampling:", "30 degrees"),
        "ref3d_symmetry": FormField("Symmetry:", "C1"),
        "shrink": FormField("Shrink factor:", "0"),
        "threshold_autopick": FormField("Picking threshold:", "0.05"),
        "topaz_filament_threshold": FormField("", "-5", "5"),
        "topaz_hough_length": FormField("", "-1", "5"),
        "topaz_model": FormField("", "", "5"),
        "topaz_nr_particles": FormField("", "-1", "5"),
        "topaz_other_args": FormField("", "", "5"),
        "topaz_particle_diameter": FormField("", "-1", "5"),
        "topaz_train_parts": FormField("", "", "5"),
        "topaz_train_picks": FormField("", "", "5"),
        "use_gpu": FormField("Use GPU acceleration?", "No"),
    },
    5: {  # Extract
        "angpix": FormField("Pixel size (A)", "1", "0"),
        "bg_diameter": FormField("Diameter background circle (pix): ", "-1"),
        "black_dust": FormField("Stddev for black dust removal: ", "-1"),
        "coords_suffix": FormField("Input coordinates: ", ""),
        "do_cut_into_segments": FormField("Cut helical tubes into segments?", "Yes"),
        "do_extract_helical_tubes": FormField("Coordinates are start-end only?", "Yes"),
        "do_extract_helix": FormField("Extract helical segments?", "No"),
        "do_float16": FormField("", "Yes", "5"),
        "do_fom_threshold": FormField("", "No", "5"),
        "do_invert": FormField("Invert contrast?", "Yes"),
        "do_norm": FormField("Normalize particles?", "Yes"),
        "do_recenter": FormField("OR: re-center refined coordinates? ", "No"),
        "do_reextract": FormField("OR re-extract refined particles? ", "No"),
        "do_rescale": FormField("Rescale particles?", "No"),
        "do_reset_offsets": FormField("Reset the refined offsets to zero? ", "No"),
        "do_set_angpix": FormField("Manually set pixel size? ", "No", "0"),
        "extract_size": FormField("Particle box size (pix):", "128"),
        "fndata_reextract": FormField("Refined particles STAR file: ", ""),
        "helical_bimodal_angular_priors": FormField("Use bimodal angular priors?", "Yes"),
        "helical_nr_asu": FormField("Number of unique asymmetrical units:", "1"),
        "helical_rise": FormField("Helical rise (A):", "1"),
        "helical_tube_outer_diameter": FormField("Tube diameter (A): ", "200"),
        "minimum_pick_fom": FormField("", "0", "5"),
        "nr_mpi": FormField("Number of MPI procs:", "1"),
        "recenter_x": FormField("Re-center on X-coordinate (in pix): ", "0"),
        "recenter_y": FormField("Re-center on Y-coordinate (in pix): ", "0"),
        "recenter_z": FormField("Re-center on Z-coordinate (in pix): ", "0"),
        "rescale": FormField("Re-scaled size (pixels): ", "128"),
        "star_mics": FormField("micrograph STAR file: ", ""),
        "white_dust": FormField("Stddev for white dust removal: ", "-1"),
    },
    7: {  # Select
        "dendrogram_minclass": FormField("", "-1000", "5"),
        "dendrogram_threshold": FormField("", "0.85", "5"),
        "discard_label": FormField("Metadata label for images:", "rlnImageName"),
        "discard_sigma": FormField("Sigma-value for discarding images:", "4"),
        "do_class_ranker": FormField("", "No", "5"),
        "do_discard": FormField("OR: select on image statistics?", "No"),
        "do_filaments": FormField("", "No", "5"),
        "do_random": FormField("Randomise order before making subsets?:", "No"),
        "do_recenter": FormField("Re-center the class averages?", "Yes", five="No"),
        "do_regroup": FormField("Regroup the particles?", "No"),
        "do_remove_duplicates": FormField("OR: remove duplicates?", "No"),
        "do_select_values": FormField("Select based on metadata values?", "No"),
        "do_split": FormField("OR: split into subsets?", "No"),
        "duplicate_threshold": FormField("Minimum inter-particle distance (A)", "30"),
        "fn_coords": FormField("OR select from picked coords:", "", "01"),
        "fn_data": FormField("OR select from particles.star:", ""),
        "fn_mic": FormField("OR select from micrographs.star:", ""),
        "fn_model": FormField("Select classes from model.star:", ""),
        "image_angpix": FormField("Pixel size before extraction (A)", "-1"),
        "nr_groups": FormField("Approximate nr of groups: ", "1"),
        "nr_split": FormField("OR: number of subsets: ", "-1"),
        "rank_threshold": FormField("", "0.5", "5"),
        "select_label": FormField("Metadata label for subset selection:", "rlnCtfMaxResolution"),
        "select_maxval": FormField("Maximum metadata value:", "9999."),
        "select_minval": FormField("Minimum metadata value:", "-9999."),
        "select_nr_classes": FormField("", "-1", "5"),
        "select_nr_parts": FormField("", "-1", "5"),
        "split_size": FormField("Subset size: ", "100"),
    },
    8: {  # Class2D
        "allow_coarser": FormField("Allow coarser sampling?", "No", "15"),
        "ctf_intact_first_peak": FormField("Ignore CTFs until first peak?", "No"),
        "ctf_phase_flipped": FormField("Have data been phase-flipped?", "No", "0"),
        "do_bimodal_psi": FormField("Do bimodal angular searches?", "Yes"),
        "do_center": FormField("", "Yes", "5"),
        "do_combine_thru_disc": FormField("Combine iterations through disc?", "No"),
        "do_ctf_correction": FormField("Do CTF-correction?", "Yes"),
        "do_em": FormField("", "No", "5"),
        "do_fast_subsets": FormField("Use fast subsets (for large data sets)?", "No", "01"),
        "do_grad": FormField("", "Yes", "5"),
        "do_helix": FormField("Classify 2D helical segments?", "No"),
        "do_parallel_discio": FormField("Use parallel disc I/O?", "Yes"),
        "do_preread_images": FormField("Pre-read all particles into RAM?", "No"),
        "do_restrict_xoff": FormField("Restrict helical offsets to rise:", "Yes"),
        "do_zero_mask": FormField("Mask individual particles with zeros?", "Yes"),
        "dont_skip_align": FormField("Perform image alignment?", "Yes"),
        "fn_cont": FormField("Continue from here: ", ""),
        "fn_img": FormField("Input images STAR file:", ""),
        "gpu_ids": FormField("Which GPUs to use:", ""),
        "helical_rise": FormField("Helical rise (A):", "4.75"),
        "helical_tube_outer_diameter": FormField("Tube diameter (A): ", "200"),
        "highres_limit": FormField("Limit resolution E-step to (A): ", "-1"),
        "nr_classes": FormField("Number of classes:", "1"),
        "nr_iter": FormField("Number of iterations:", "25", "01"),
        "nr_iter_em": FormField("", "25", "5"),
        "nr_iter_grad": FormField("", "200", "5"),
        "nr_mpi": FormField("Number of MPI procs:", "1"),
        "nr_pool": FormField("Number of pooled particles:", "3"),
        "nr_threads": FormField("Number of threads:", "1"),
        "offset_range": FormField("Offset search range (pix):", "5"),
        "offset_step": FormField("Offset search step (pix):", "1"),
        "particle_diameter": FormField("Mask diameter (A):", "200"),
        "psi_sampling": FormField("In-plane angular sampling:", "6"),
        "range_psi": FormField("Angular search range - psi (deg):", "6"),
        "scratch_dir": FormField("Copy particles to scratch directory:", ""),
        "tau_fudge": FormField("Regularisation parameter T:", "2"),
        "use_gpu": FormField("Use GPU acceleration?", "No"),
    },
}


def form_fields(number: int) -> dict[str, FormField]:
    """All fields that a type of job has in any RELION."""
    return {**FORMS[number], **RUNNING}


def filled_form(number: int, relion: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return every field of a form: as given, or as RELION has it at first.

    Parameters
    ----------
    number : int
        RELION 3's number of the job type.
    relion : {"0", "1", "5"}
        Whose form: RELION 3.0's, 3.1's, or that of 4 and 5.
    given : mapping
        What this form has no field for is left out.
    """
    form = {}
    for name, field in form_fields(number).items():
        if relion in field.of:
            default = field.default if relion != "5" or field.five is None else field.five
            default = os.environ.get(_ENVIRONMENT.get(name, ""), default)
            form[name] = given.get(name, default)
    return form

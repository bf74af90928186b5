"""Kinds of files that jobs hand to one another, and what each RELION generation calls them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeKind:
    """A kind of file: RELION 3's number, and the labels of RELION 4 and 5; None where it has none."""

    number: int | None
    label4: str | None
    label5: str | None


NODE_KINDS = {
    "micrographs": NodeKind(1, "MicrographsData.star.relion", "MicrographGroupMetadata.star.relion"),
    "coordinates": NodeKind(
        2, "MicrographsCoords.star.relion.autopick", "MicrographCoordsGroup.star.relion.autopick"
    ),
    "particles": NodeKind(3, "ParticlesData.star.relion", "ParticleGroupMetadata.star.relion"),
    "class_averages": NodeKind(
        5, "ImagesData.star.relion.classaverages", "Image2DGroupMetadata.star.relion.classaverages"
    ),
    "class2d_data": NodeKind(
        3, "ParticlesData.star.relion.class2d", "ParticleGroupMetadata.star.relion.class2d"
    ),
    # Class2D hands on its model in RELION 3 and its optimiser from RELION 4.
    "class2d_model": NodeKind(8, None, None),
    "class2d_optimiser": NodeKind(
        None, "ProcessData.star.relion.optimiser.class2d", "OptimiserData.star.relion.class2d"
    ),
    "coordinates_list": NodeKind(
        None, "MicrographsCoords.star.relion.autopick", "MicrographCoordsGroup.star.relion.autopick"
    ),
    "manual_coordinates_list": NodeKind(
        None, "MicrographsCoords.star.relion.manualpick", "MicrographCoordsGroup.star.relion.manualpick"
    ),
    "imported_coordinates_list": NodeKind(
        None, "MicrographsCoords.star.relion", "MicrographCoordsGroup.star.relion"
    ),
    "coordinates_suffix": NodeKind(2, None, None),
}


def coordinate_node(
    dialect: str, pick_name: str, list_name: str, list_kind: str = "coordinates_list"
) -> dict[str, str]:
    """The file by which a job hands on coordinates, and its kind; it depends on RELION's generation."""
    if dialect == "3.1":
        return {f"coords_suffix_{pick_name}.star": "coordinates_suffix"}
    return {list_name: list_kind}

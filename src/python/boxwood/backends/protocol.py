"""What every backend offers. Shapes and units of each kernel stand here and nowhere else."""

from typing import Any, Protocol

from boxwood.backends.image_store import ImageStore, StoredImages
from boxwood.typing import AnyArray, ComplexArray, DoubleArray, FloatArray


class Backend(Protocol):
    """A set of kernels. Arrays are C-contiguous; results do not depend on `threads`."""

    name: str

    def image_store(self, particles: int, samples: int) -> ImageStore | None:
        """Memory beside the kernels for polar images, which need not be sent to them with every call.

        Parameters
        ----------
        particles : int
            How many there are at most; there may be room for fewer.
        samples : int
            Of each image and CTF.

        Returns
        -------
        ImageStore, or None
            Where the kernels work in the host's memory there is no need of one.
        """
        ...

    def __hash__(self) -> int: ...

    def ctf(self, rows: DoubleArray, frequencies: FloatArray, mode: int, threads: int) -> FloatArray:
        """Contrast transfer function of n images at m spatial frequencies.

        Parameters
        ----------
        rows : (n, 9) float64
            Per image: defocus U and V (Angstrom), astigmatism angle (degree), phase shift (degree),
            voltage (kV), spherical aberration (mm), amplitude contrast, B-factor (Angstrom^2), scale.
        frequencies : (m, 2) float32
            x and y in 1/Angstrom.
        mode : int
            0, or a sum of 1 (data are phase-flipped: absolute value) and 2 (1 up to the first peak).
        threads : int

        Returns
        -------
        (n, m) float32
            Never smaller than 1e-8 in magnitude.
        """
        ...

    def log_pick_maps(
        self,
        micrograph: FloatArray,
        outside: FloatArray,
        work_size: int,
        variances: DoubleArray,
        outlier_sigma: float,
        sign: float,
        threads: int,
    ) -> tuple[FloatArray, AnyArray, float, float]:
        """Largest response of a bank of Laplacian-of-Gaussian filters, on a w x w map.

        The micrograph is normalised to mean 0 and standard deviation 1, multiplied by `sign`, centred in
        the square of its longer side n, and taken to w x w in Fourier space.

        Parameters
        ----------
        micrograph : (ny, nx) float32
        outside : (n^2 - ny nx,) float32
            The rest of the square in row-major order, in units of the standard deviation.
        work_size : int
            w, even; larger than n pads the transform.
        variances : (filters,) float64
            (n a / 2 d)^2 for a disc of diameter d at pixel size a.
        outlier_sigma : float
            Pixels further than this many standard deviations from the mean become the mean.
        sign : float
            -1 if particles are dark, 1 if they are white.
        threads : int

        Returns
        -------
        best : (w, w) float32
        index : (w, w) uint8
            The first filter that gave `best`.
        mean, sigma : float
            Of the micrograph. If sigma is 0 or not finite, the maps are undefined.
        """
        ...

    def log_pick_peaks(
        self,
        best: FloatArray,
        index: AnyArray,
        allowed: AnyArray,
        radius2: AnyArray,
        border: tuple[int, int, int, int],
        adjust: float,
        upper: float,
        threads: int,
    ) -> tuple[AnyArray, float, float]:
        """Peaks of a map by decreasing value; each clears the disc around it.

        Parameters
        ----------
        best, index : (w, w) float32 and uint8
            From `log_pick_maps`.
        allowed : (filters,) uint8
            Pixels of other filters are neither peaks nor part of the statistics.
        radius2 : (filters,) int64
            A peak of this filter clears pixels at distance^2 < radius2.
        border : y_begin, y_end, x_begin, x_end
            Pixels elsewhere count as 0.
        adjust, upper : float
            Threshold and ceiling are the mean plus this many standard deviations of the map. Peaks at or
            above the ceiling clear their disc but are not returned.
        threads : int

        Returns
        -------
        peaks : (m, 2) int32
            y and x.
        threshold, ceiling : float
            NaN if no pixel is of an allowed filter.
        """
        ...

    def polar_transform(
        self,
        images: FloatArray,
        shifts: AnyArray | None,
        mask: FloatArray,
        positions: FloatArray,
        threads: int,
    ) -> tuple[ComplexArray, FloatArray]:
        """Fourier transforms of images at given frequencies, after a whole-pixel shift and a soft mask.

        Parameters
        ----------
        images : (n, box, box) float32
        shifts : (n, 2) int32, optional
            x, y in pixels; zeros move in.
        mask : (box, box) float32
            Before masking, the mean of what the mask takes away is subtracted.
        positions : (m, 2) float32
            x, y in cycles per box, shorter than box/2, y not negative; the origin is pixel box // 2.
        threads : int

        Returns
        -------
        transforms : (n, m) complex64
            sum over pixels of image exp(-2 pi i position . pixel / box).
        power : (n,) float32
            Sum of squares of the masked image.
        """
        ...

    def polar_adjoint(
        self, samples: ComplexArray, positions: FloatArray, box: int, threads: int
    ) -> FloatArray:
        """Real part of the adjoint of `polar_transform`, without shift and mask.

        Parameters
        ----------
        samples : (n, m) complex64
        positions : (m, 2) float32
            As in `polar_transform`.
        box : int
            Side of the images, in pixels.
        threads : int

        Returns
        -------
        (n, box, box) float32
            Real part of the sum over samples of sample exp(2 pi i position . pixel / box).
        """
        ...

    def expectation(
        self,
        images: ComplexArray | StoredImages,
        ctf: FloatArray | None,
        group: AnyArray,
        weights: FloatArray,
        scale: FloatArray,
        ring_samples: AnyArray,
        ring_harmonics: AnyArray,
        references: ComplexArray,
        power: ComplexArray,
        phases: ComplexArray,
        log_prior_offset: FloatArray,
        log_prior_class: FloatArray,
        log_prior_psi: FloatArray | None,
        coarse_phases: ComplexArray,
        parent: AnyArray,
        coarse_log_prior_offset: FloatArray,
        psi: int,
        hard: bool,
        cut: float,
        fraction: float,
        top: int,
        precision: str,
        threads: int,
    ) -> dict[str, Any]:
        """Posterior of images over classes, angles and offsets, and the sums for the maximisation.

        Layouts are those of `boxwood.imaging.polar.PolarGrid`, equations in docs/class2d.md.

        Parameters
        ----------
        images : (n, s) complex64
            Half-circle samples; s may exceed the samples of the rings in use. Or `StoredImages` of a store of
            this backend, which know their CTFs.
        ctf : (n, s) float32
            None with `StoredImages`.
        group : (n,) int32
            Row of `weights`.
        weights : (groups, rings) float32
            Area of a ring / (its samples x power of the noise).
        scale : (n, 2) float32
            Factors of the image and of the CTF.
        ring_samples, ring_harmonics : (rings,) int32
            A multiple of 4 samples, and 4 to fewer than half as many harmonics.
        references : (k, coefficients) complex64
            Packed harmonics.
        power : (k, rings, 3) complex64
            Harmonics 0, 2, 4 of |reference|^2.
        phases : (t, samples) complex64
        log_prior_offset : (n, t), log_prior_class : (k,), log_prior_psi : (psi,) or None; float32
        coarse_phases : (c, coarse samples) complex64
            Offsets of a first pass over all classes, on as many rings as the samples make up; the second
            pass searches where the first one says that it matters. c = 0: everything is searched at once.
        parent : (t,) int32
            The coarse offset on whose word each offset is searched, every one at least once; (0,) without a
            first pass.
        coarse_log_prior_offset : (n, c) float32
        psi : int
            Number of angles, an even 2^a 3^b 5^c of at least 10.
        hard : bool
            All weight on the largest cross / sqrt(norm); priors on class and offset are not used.
        cut : float
            (class, offset) pairs whose best is this far below the image's best are dropped.
        fraction : float
            Of the posterior over (class, offset) pairs, this much goes from the first pass to the second,
            and from the second to the sums.
        top : int
            How many of the largest samples of each image to report.
        precision : {"float32", "bf16", "tf32"}
            Round the harmonics of references and shifted images to 8 (bf16) or 11 (tf32) significant bits, to
            the nearest, then the even one, where they are multiplied for the posterior; all else stays as
            it is. Processors have no tf32.
        threads : int

        Returns
        -------
        dict
            best (n, 3) int32: class, angle, offset; top_samples (n, top, 3) int32 and top_weights (n, top)
            float32: the same for the largest samples, and their posterior, decreasing, 0 where there are
            fewer; statistics (n, 4) float32: log of the sum over all samples, largest probability, entropy,
            value of the best; class_posterior (n, k) and offset_posterior (n, t) float32; cross, model
            (n, rings) float32: posterior means of <reference, image> and <|reference|^2 CTF^2> under the
            weights; numerator (k, coefficients), denominator (k, rings, 3) complex128.

        Raises
        ------
        ValueError
            If shapes do not fit; the text names the argument and both shapes.
        """
        ...

    def extract(
        self,
        micrograph: FloatArray,
        centres: AnyArray,
        shifts: FloatArray | None,
        filters: FloatArray | None,
        fill: float,
        box: int,
        scaled: int,
        window: int,
        background_radius: float,
        ramp: bool,
        white_dust: float,
        black_dust: float,
        invert: bool,
        seed: int,
        threads: int,
    ) -> tuple[FloatArray, AnyArray]:
        """Cut n particles out of a micrograph, rescale and normalise them: docs/conventions.md, "Extraction".

        Parameters
        ----------
        micrograph : (ny, nx) float32
        centres : (n, 2) int32
            x and y of the pixel that becomes the origin of the box; the box must overlap the micrograph.
        shifts : (n, 2) float32, optional
            x and y in micrograph pixels; the content of the box moves by this much.
        filters : (1 or n, wide, wide//2 + 1) float32, optional
            Real factors of the half-complex spectrum of a box of `wide` >= `box` pixels.
        fill : float
            Grey value outside the micrograph while filtering.
        box, scaled, window : int
            Even sides, in pixels: cut out, after Fourier rescaling, of the output (at most `scaled`).
        background_radius : float
            Output pixels farther from the origin are background; negative: images are not normalised.
        ramp : bool
            Subtract the plane fitted to the background.
        white_dust, black_dust : float
            Pixels so many standard deviations above or below the background become noise; 0 or less: off.
        invert : bool
            Multiply by -1 in the end.
        seed : int
            Of the noise; a particle's noise depends on this and its centre only.
        threads : int

        Returns
        -------
        images : (n, window, window) float32
        faults : (n,) int32
            0; 1 if the background has no contrast, 2 if a pixel is not finite; then the image is zero.
        """
        ...

    def fourier_crop(
        self, image: FloatArray, shape: tuple[int, int], offset: float, threads: int
    ) -> FloatArray:
        """Take an image to a coarser grid through its low frequencies; grey values keep their meaning.

        Parameters
        ----------
        image : (ny, nx) float32
        shape : my, mx
            Even, at least 2 and at most ny, nx; the coefficient at +my/2 stays, the one at -my/2 goes.
        offset : float
            Subtracted from every pixel first.
        threads : int

        Returns
        -------
        (my, mx) float32
        """
        ...

    def steerable(
        self,
        image: FloatArray,
        padded: tuple[int, int],
        tables: FloatArray,
        orders: AnyArray,
        weights: FloatArray,
        threads: int,
    ) -> tuple[FloatArray, FloatArray]:
        """Correlate an image with filters whose Fourier transforms are h(|k|) exp(i m phi).

        Parameters
        ----------
        image : (ny, nx) float32
        padded : py, px
            Even, at least ny, nx: sides of the periodic plane of zeros in which the image lies.
        tables : (filters, samples) float32
            h at frequencies from 0 to sqrt(1/2) cycles per pixel, at least 2; linear in between.
        orders : (filters,) int32
            m, at least 0.
        weights : (filters,) float32
        threads : int

        Returns
        -------
        linear : (filters of order 0, ny, nx) float32
            The responses of those.
        power : (ny, nx) float32
            Of the others: the sum of weight * |response|^2.
        """
        ...

// Expectation of Class2D in polar Fourier coordinates; method and equations in docs/class2d.md.
//
// One image at a time, offsets along the lanes, a vector of neighbouring offsets after the other:
//   rotate-and-shift  Y[harmonic, ring]: phases on the ring samples, then a Fourier transform of each ring;
//   correlate         Z[class](m) = sum over rings conj(A) Y, a small matrix product per harmonic;
//   likelihood        inverse transform of Z over m gives all in-plane angles at once; the norm of the
//                     reference and the priors are added to Z before it, where they cost nothing.
// This is done for all classes at few offsets and few rings first (coarse), then (fine) where the coarse
// posterior says that it matters. Then
//   posterior         exponentials of the (class, offset) pairs that matter;
//   accumulate        numerator N[class](m, ring) += sum over offsets W(m) Y, W the transform of the
//                     posterior over angles: the transposed matrix product.
#include "cpu/likelihood.h"

namespace boxwood {
namespace BOXWOOD_SIMD {
namespace {

// A batch is summed in this many parts, whatever the number of threads, so that rounding is the same.
constexpr int parts = 16;

// Sums over the images of one part.
struct Sums {
    size_t numerator_size, denominator_size;
    Buffer<float> numerator;    // [k][coefficients][re, im]
    Buffer<float> denominator;  // [k][rings][3][re, im]
    explicit Sums(const ExpectationArgs& a)
        : numerator_size((size_t)a.k * a.coefficients * 2),
          denominator_size((size_t)a.k * a.rings * 6),
          numerator(numerator_size),
          denominator(denominator_size) {
        memset(numerator, 0, sizeof(float) * numerator_size);
        memset(denominator, 0, sizeof(float) * denominator_size);
    }
    void add_to(const ExpectationArgs& a) const {
        for (size_t i = 0; i < numerator_size; ++i) a.numerator[i] += numerator[i];
        for (size_t i = 0; i < denominator_size; ++i) a.denominator[i] += denominator[i];
    }
};

// The sums of every task, where a kernel may end before all have some.
struct TaskSums {
    Sums* of[parts] = {};
    ~TaskSums() {
        for (Sums* sums : of) delete sums;
    }
};

// The share above which masses of a sum of 1 hold `fraction` of it, to an eighth of an octave: the masses
// are counted by their exponent and first bits, largest first.
class MassThreshold {
public:
    MassThreshold() : sums_(buckets) {}
    void clear() { memset(sums_, 0, sizeof(double) * buckets); }
    void add(float mass) { sums_[bucket(mass)] += mass; }
    float find(double fraction) const {
        double sum = 0;
        int b = buckets - 1;
        for (; b > 0; --b) {
            sum += sums_[b];
            if (sum >= fraction) break;
        }
        const uint32_t bits = (uint32_t)b << 20;
        float edge;
        memcpy(&edge, &bits, sizeof(edge));
        return edge;
    }

private:
    static constexpr int buckets = 0x400;  // floats below 2
    Buffer<double> sums_;
    static int bucket(float mass) {
        uint32_t bits;
        memcpy(&bits, &mass, sizeof(bits));
        const int b = (int)(bits >> 20);
        return b < buckets ? b : buckets - 1;
    }
};

// One worker's scratch, and the steps of one image.
class ImageExpectation {
public:
    explicit ImageExpectation(const ExpectationTables& tables)
        : s(tables),
          a(tables.a),
          likelihood_(tables),
          coarse_mass_((size_t)a.k * s.coarse.vectors),
          coarse_level_((size_t)a.k * s.coarse.vectors),
          share_((size_t)a.k * a.coarse_t),
          classes_((size_t)s.fine.vectors * a.k),
          class_count_(s.fine.vectors),
          shifted_((size_t)s.fine.vectors * a.coefficients * 2),
          values_((size_t)a.k * s.fine.vectors * a.psi),
          peak_((size_t)a.k * s.fine.vectors),
          tile_mass_((size_t)a.k * s.fine.vectors),
          offset_sum_(s.fine.vectors),
          active_(s.fine.vectors),
          image_of_(s.fine.vectors),
          line_((size_t)2 * a.psi),
          work_((size_t)2 * a.psi),
          posterior_((size_t)s.fine.vectors * s.bins * 2),
          ring_cross_(2 * a.rings + lanes),
          ring_model_(a.rings) {}

    void run(int image, Sums& sums) {
        likelihood_.weigh(image);
        if (a.coarse_t) {
            search_coarse(image);
            choose_tiles();
        } else {
            choose_everything();
        }
        search_fine(image);
        find_best(image);
        exponentiate(image);
        if (a.top) find_top(image);
        memset(ring_cross_, 0, sizeof(float) * 2 * a.rings);
        memset(ring_model_, 0, sizeof(float) * a.rings);
        const float inverse = a.statistics[4 * (size_t)image + 1];
        for (int k = 0; k < a.k; ++k) accumulate_class(k, inverse, sums);
        for (int r = 0; r < a.rings; ++r) {
            a.cross[(size_t)image * a.rings + r] = ring_cross_[2 * r] + ring_cross_[2 * r + 1];
            a.model[(size_t)image * a.rings + r] = ring_model_[r];
        }
    }

private:
    const ExpectationTables& s;
    const ExpectationArgs& a;
    Likelihood likelihood_;
    MassThreshold threshold_;
    Buffer<vfloat> coarse_mass_;         // [k][coarse vectors]: sum over psi of exp(value - level)
    Buffer<float> coarse_level_;         // [k][coarse vectors]
    Buffer<float> share_;                // [k][coarse_t] of the coarse posterior
    Buffer<int> classes_, class_count_;  // [fine vectors][k], [fine vectors]: what is searched there
    Buffer<vfloat> shifted_;             // [fine vectors][coefficients][re, im], where searched
    Buffer<vfloat> values_;              // [k][fine vectors][psi], where matters()
    Buffer<float> peak_;                 // [k][fine vectors] largest value
    Buffer<float> tile_mass_;            // [k][fine vectors] share of the posterior
    Buffer<vfloat> offset_sum_;          // [fine vectors]
    Buffer<int> active_;                 // fine vectors that count in one class
    Buffer<const vfloat*> image_of_;
    Buffer<vfloat> line_, work_;
    Buffer<vfloat> posterior_;  // [bins][active, stride fine vectors][re, im]
    Buffer<float> ring_cross_;  // [rings][2], whose sum counts
    Buffer<float> ring_model_;
    float best_ = 0, tile_threshold_ = 0;

    size_t tile(int k, int v) const { return (size_t)k * s.fine.vectors + v; }
    bool searched(int k) const { return a.hard || a.log_prior_class[k] > -1e3f; }
    // Whether this class has a say in the posterior at some offset of this vector.
    bool matters(int k, int v) const { return peak_[tile(k, v)] >= best_ - (a.hard ? 0.0f : a.cut); }

    vfloat prior(const OffsetGrid& grid, const float* all, int image, int v) const {
        vfloat out = splat(impossible);
        for (int i = 0; i < lanes && v * lanes + i < grid.count; ++i)
            out[i] = a.hard ? 0.0f : all[(size_t)image * grid.count + v * lanes + i];
        return out;
    }

    int all_classes(int* list) const {
        int n = 0;
        for (int k = 0; k < a.k; ++k)
            if (searched(k)) list[n++] = k;
        return n;
    }

    // Sums over psi of the coarse posterior, relative to a level that rises with the best so far. A
    // normalised correlation c is worth c^2 / 2: the log-likelihood at its best amplitude.
    void search_coarse(int image) {
        const int nv = s.coarse.vectors, count = all_classes(classes_);
        best_ = impossible;
        for (int i = 0; i < a.k * nv; ++i) coarse_mass_[i] = vfloat{};
        likelihood_.norms(a.coarse_rings);
        for (int v = 0; v < nv; ++v) {
            const vfloat log_prior = prior(s.coarse, a.coarse_log_prior_offset, image, v);
            likelihood_.search(s.coarse, v, classes_, count, log_prior, shifted_, [&](int k, vfloat* angles) {
                if (a.hard)
                    for (int i = 0; i < a.psi; ++i)
                        angles[2 * i] = log_prior + 0.5f * angles[2 * i] * vmax(angles[2 * i], vfloat{});
                vfloat top = angles[0];
                for (int i = 1; i < a.psi; ++i) top = vmax(top, angles[2 * i]);
                const float highest = horizontal_max(top);
                if (highest > best_) best_ = highest;
                if (highest < best_ - a.cut) return;
                vfloat sum = vfloat{};
                for (int i = 0; i < a.psi; ++i) sum += vexp(angles[2 * i] - best_);
                coarse_mass_[(size_t)k * nv + v] = sum;
                coarse_level_[(size_t)k * nv + v] = best_;
            });
        }
    }

    // The tiles of classes and fine vectors that hold a.fraction of the coarse posterior.
    void choose_tiles() {
        const int nv = s.coarse.vectors;
        double total = 0;
        for (int k = 0; k < a.k; ++k)
            for (int v = 0; v < nv; ++v) {
                vfloat& mass = coarse_mass_[(size_t)k * nv + v];
                const float level = coarse_level_[(size_t)k * nv + v];
                if (horizontal_max(mass) > 0) mass *= expf(level - best_);
                total += horizontal_sum(mass);
            }
        const float inverse = (float)(1.0 / total);
        threshold_.clear();
        for (int k = 0; k < a.k; ++k)
            for (int c = 0; c < a.coarse_t; ++c) {
                const float share = coarse_mass_[(size_t)k * nv + c / lanes][c % lanes] * inverse;
                share_[(size_t)k * a.coarse_t + c] = share;
                threshold_.add(share);
            }
        const float least = fmaxf(threshold_.find(a.fraction), 1e-30f);
        for (int v = 0; v < s.fine.vectors; ++v) {
            const int* parents = s.parents + (size_t)v * lanes;
            int n = 0;
            for (int k = 0; k < a.k; ++k) {
                float largest = 0;
                for (int i = 0; i < s.parent_count[v]; ++i)
                    largest = fmaxf(largest, share_[(size_t)k * a.coarse_t + parents[i]]);
                if (largest >= least) classes_[(size_t)v * a.k + n++] = k;
            }
            class_count_[v] = n;
        }
    }

    void choose_everything() {
        for (int v = 0; v < s.fine.vectors; ++v) class_count_[v] = all_classes(classes_ + (size_t)v * a.k);
    }

    void search_fine(int image) {
        best_ = impossible;
        for (int i = 0; i < a.k * s.fine.vectors; ++i) peak_[i] = 2 * impossible;
        likelihood_.norms(a.rings);
        for (int v = 0; v < s.fine.vectors; ++v) {
            if (class_count_[v] == 0) continue;
            const vfloat log_prior = prior(s.fine, a.log_prior_offset, image, v);
            vfloat* shifted = shifted_ + (size_t)v * a.coefficients * 2;
            likelihood_.search(s.fine, v, classes_ + (size_t)v * a.k, class_count_[v], log_prior, shifted,
                               [&](int k, vfloat* angles) { keep(k, v, angles); });
        }
    }

    void keep(int k, int v, vfloat* angles) {
        vfloat top = angles[0];
        for (int i = 1; i < a.psi; ++i) top = vmax(top, angles[2 * i]);
        const float highest = horizontal_max(top);
        peak_[tile(k, v)] = highest;
        if (highest > best_) best_ = highest;
        if (!matters(k, v)) return;
        vfloat* out = values_ + tile(k, v) * a.psi;
        for (int i = 0; i < a.psi; ++i) out[i] = angles[2 * i];
    }

    // The first (class, offset, psi) that reaches the largest value.
    void find_best(int image) {
        int* best = a.best + 3 * (size_t)image;
        best[0] = best[1] = best[2] = 0;
        for (int k = 0; k < a.k; ++k)
            for (int v = 0; v < s.fine.vectors; ++v) {
                if (peak_[tile(k, v)] != best_) continue;
                const vfloat* value = values_ + tile(k, v) * a.psi;
                for (int l = 0; l < lanes; ++l)
                    for (int i = 0; i < a.psi; ++i)
                        if (value[i][l] == best_) {
                            best[0] = k;
                            best[1] = i;
                            best[2] = v * lanes + l;
                            return;
                        }
            }
    }

    // Replaces kept log-likelihoods by exp(value - best) and sums them in every direction.
    void exponentiate(int image) {
        const int* best = a.best + 3 * (size_t)image;
        vfloat entropy = vfloat{};
        double total = 0;
        for (int v = 0; v < s.fine.vectors; ++v) offset_sum_[v] = vfloat{};
        float* of_class = a.class_posterior + (size_t)image * a.k;
        for (int k = 0; k < a.k; ++k) {
            vfloat class_sum = vfloat{};
            for (int v = 0; v < s.fine.vectors; ++v) {
                tile_mass_[tile(k, v)] = 0;
                if (!matters(k, v)) continue;
                vfloat* value = values_ + tile(k, v) * a.psi;
                vfloat sum = vfloat{};
                if (a.hard) {
                    for (int i = 0; i < a.psi; ++i) value[i] = vfloat{};
                    if (k == best[0] && v == best[2] / lanes)
                        sum[best[2] % lanes] = value[best[1]][best[2] % lanes] = 1.0f;
                } else {
                    for (int i = 0; i < a.psi; ++i) {
                        const vfloat x = value[i] - best_, e = vexp(x);
                        value[i] = e;
                        sum += e;
                        entropy += e * vmax(x, splat(-100.0f));
                    }
                }
                class_sum += sum;
                offset_sum_[v] += sum;
                tile_mass_[tile(k, v)] = horizontal_sum(sum);
            }
            of_class[k] = horizontal_sum(class_sum);
            total += of_class[k];
        }
        const float inverse = (float)(1.0 / total);
        for (int k = 0; k < a.k; ++k) of_class[k] *= inverse;
        for (int t = 0; t < a.t; ++t)
            a.offset_posterior[(size_t)image * a.t + t] = offset_sum_[t / lanes][t % lanes] * inverse;
        threshold_.clear();
        for (int i = 0; i < a.k * s.fine.vectors; ++i) threshold_.add(tile_mass_[i] *= inverse);
        tile_threshold_ = fmaxf(threshold_.find(a.fraction), 1e-30f);
        float* out = a.statistics + 4 * (size_t)image;
        out[0] = best_ + logf((float)total);
        out[1] = inverse;
        out[2] = logf((float)total) - horizontal_sum(entropy) * inverse;
        out[3] = best_;
    }

    // The a.top largest samples, largest first, by insertion; weight 0 where there are fewer.
    void find_top(int image) {
        int* sample = a.top_samples + (size_t)image * a.top * 3;
        float* weight = a.top_weights + (size_t)image * a.top;
        for (int i = 0; i < a.top; ++i) weight[i] = 0;
        memset(sample, 0, sizeof(int) * 3 * a.top);
        const float inverse = a.statistics[4 * (size_t)image + 1];
        for (int k = 0; k < a.k; ++k)
            for (int v = 0; v < s.fine.vectors; ++v) {
                if (!(tile_mass_[tile(k, v)] > weight[a.top - 1])) continue;  // nor where it is no number
                const vfloat* value = values_ + tile(k, v) * a.psi;
                for (int i = 0; i < a.psi; ++i)
                    for (int l = 0; l < lanes; ++l) {
                        const float p = value[i][l] * inverse;
                        if (p <= weight[a.top - 1]) continue;
                        int at = a.top - 1;
                        for (; at > 0 && p > weight[at - 1]; --at) {
                            weight[at] = weight[at - 1];
                            memcpy(sample + 3 * at, sample + 3 * (at - 1), 3 * sizeof(int));
                        }
                        weight[at] = p;
                        sample[3 * at] = k;
                        sample[3 * at + 1] = i;
                        sample[3 * at + 2] = v * lanes + l;
                    }
            }
    }

    // Posterior over psi to harmonics, for the active offsets of one class. Returns their number of vectors.
    int posterior_harmonics(int k, float inverse) {
        int count = 0;
        for (int v = 0; v < s.fine.vectors; ++v)
            if (tile_mass_[tile(k, v)] >= tile_threshold_) {
                active_[count] = v;
                image_of_[count++] = shifted_ + (size_t)v * a.coefficients * 2;
            }
        for (int i = 0; i < count; i += 2) {
            const bool pair = i + 1 < count;
            const vfloat* p1 = values_ + tile(k, active_[i]) * a.psi;
            const vfloat* p2 = pair ? values_ + tile(k, active_[i + 1]) * a.psi : p1;
            for (int j = 0; j < a.psi; ++j) {
                line_[2 * j] = p1[j] * inverse;
                line_[2 * j + 1] = p2[j] * inverse;
            }
            s.psi_plan.run<-1>(line_, work_);
            for (int b = 0; b < s.bins; ++b) {
                const int mirror = (a.psi - b) % a.psi;
                const vfloat cr = line_[2 * b], ci = line_[2 * b + 1], dr = line_[2 * mirror],
                             di = line_[2 * mirror + 1];
                vfloat* w = posterior_ + ((size_t)b * s.fine.vectors + i) * 2;
                w[0] = 0.5f * (cr + dr);
                w[1] = 0.5f * (ci - di);
                if (pair) {
                    w[2] = 0.5f * (ci + di);
                    w[3] = 0.5f * (dr - cr);
                }
            }
        }
        return count;
    }

    void accumulate_class(int k, float inverse, Sums& sums) {
        const int count = posterior_harmonics(k, inverse);
        if (count == 0) return;
        for (int m = 0; m <= s.fine.top; ++m) {
            bool conjugate;
            const vfloat* w = posterior_ + (size_t)s.bin(m, conjugate) * s.fine.vectors * 2;
            const float sign = conjugate ? -1.0f : 1.0f;
            const int c = s.start[m], n = s.start[m + 1] - c;
            for (int r = 0; r < n; r += ring_tile)
                add_rings<ring_tile>(k, m, w, sign, c + r, r, n - r < ring_tile ? n - r : ring_tile, count,
                                     sums);
        }
        add_denominator(k, count, sums);
    }

    // The instance of accumulate for n rings, and its share of numerator and cross.
    template <int most>
    BOXWOOD_INLINE void add_rings(int k, int m, const vfloat* w, float sign, int c, int r, int n, int count,
                                  Sums& sums) {
        if constexpr (most > 0) {
            if (n < most) return add_rings<most - 1>(k, m, w, sign, c, r, n, count, sums);
            const vfloat v = accumulate<most>(w, sign, image_of_, c, count);
            const float twice = m > 0 ? 2.0f : 1.0f;
            const size_t at = ((size_t)k * a.coefficients + c) * 2;
            float* out = sums.numerator + at;
            const float* reference = a.references + at;
            float* cross = ring_cross_ + 2 * (s.first_ring[m] + r);
            if constexpr (most == ring_tile) {
                store(out, load(out) + v);
                store(cross, load(cross) + twice * load(reference) * v);
            } else {
                for (int i = 0; i < 2 * most; ++i) {
                    out[i] += v[i];
                    cross[i] += twice * reference[i] * v[i];
                }
            }
        }
    }

    // Denominator harmonics 0, 2, 4 and the power of the model.
    void add_denominator(int k, int count, Sums& sums) {
        float p[6];
        for (int j = 0; j < 6; ++j) {
            vfloat sum = vfloat{};
            for (int i = 0; i < count; ++i)
                sum += posterior_[((size_t)2 * (j / 2) * s.fine.vectors + i) * 2 + j % 2];
            p[j] = horizontal_sum(sum);
        }
        for (int r = 0; r < a.rings; ++r) {
            const float* g = likelihood_.ctf_power + 6 * r;
            float* d = sums.denominator + ((size_t)k * a.rings + r) * 6;
            const float* b = a.power + ((size_t)k * a.rings + r) * 6;
            for (int j = 0; j < 6; j += 2) {
                const float re = p[j] * g[j] - p[j + 1] * g[j + 1], im = p[j] * g[j + 1] + p[j + 1] * g[j];
                d[j] += re;
                d[j + 1] += im;
                ring_model_[r] += (b[j] * re + b[j + 1] * im) * (j ? 2.0f : 1.0f);
            }
        }
    }
};

}  // namespace

void expectation(const ExpectationArgs& a) {
    const ExpectationTables tables(a);
    const int tasks = a.n < parts ? a.n : parts;
    TaskSums sums;
    parallel_for(tasks, a.threads, [&](int task, int) {
        ImageExpectation worker(tables);
        sums.of[task] = new Sums(a);
        const int first = (int)((long)a.n * task / tasks), last = (int)((long)a.n * (task + 1) / tasks);
        for (int i = first; i < last && !stop_requested(); ++i) worker.run(i, *sums.of[task]);
    });
    for (int task = 0; task < tasks; ++task) sums.of[task]->add_to(a);
}

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood

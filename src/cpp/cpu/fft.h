// Complex Fourier transforms of any length, many at once: every element is a vector, and each lane of
// it belongs to another transform, so there is no shuffling and one code serves all instruction sets.
//
// Mixed-radix Stockham: butterflies of 2, 3, 4, 5 written out, any other prime p by the direct sum in
// its symmetric form, p multiply-adds a point. Unscaled; sign -1 is exp(-2 pi i jk/n).
#pragma once
#include <math.h>

#include "cpu/simd.h"

namespace boxwood {
namespace BOXWOOD_SIMD {

// T: float or double; V: the vector of T whose lanes are the transforms.
template <class T, class V>
class Fft {
public:
    int n;

    explicit Fft(int length) : n(length), roots_((size_t)2 * length) {
        int rest = n;
        for (int p = 4; rest > 1;) {
            if (rest % p == 0) {
                factors_[factor_count_++] = p;
                rest /= p;
            } else {
                p = p == 4 ? 2 : p == 2 ? 3 : p + 2;
                if ((long)p * p > rest && p > 3) p = rest;
            }
        }
        for (int k = 0; k < n; ++k) {
            roots_[2 * k] = (T)cos(2.0 * M_PI * k / n);
            roots_[2 * k + 1] = (T)sin(2.0 * M_PI * k / n);
        }
    }

    // data, work: [n][re, im] vectors. The result is in data.
    template <int sign>
    void run(V* data, V* work) const {
        V* in = data;
        V* out = work;
        int l1 = 1;
        for (int f = 0; f < factor_count_; ++f) {
            const int p = factors_[f], ido = n / (l1 * p);
            if (p == 4)
                pass4<sign>(ido, l1, in, out);
            else if (p == 2)
                pass2<sign>(ido, l1, in, out);
            else if (p == 3)
                pass3<sign>(ido, l1, in, out);
            else if (p == 5)
                pass5<sign>(ido, l1, in, out);
            else
                pass_prime<sign>(p, ido, l1, in, out);
            l1 *= p;
            V* t = in;
            in = out;
            out = t;
        }
        if (in != data) memcpy(data, in, sizeof(V) * 2 * n);
    }

private:
    struct Cx {
        V re, im;
    };
    static BOXWOOD_INLINE Cx get(const V* p, int i) { return {p[2 * i], p[2 * i + 1]}; }
    static BOXWOOD_INLINE void put(V* p, int i, Cx a) {
        p[2 * i] = a.re;
        p[2 * i + 1] = a.im;
    }
    static BOXWOOD_INLINE Cx add(Cx a, Cx b) { return {a.re + b.re, a.im + b.im}; }
    static BOXWOOD_INLINE Cx sub(Cx a, Cx b) { return {a.re - b.re, a.im - b.im}; }
    // a * (sign * i)
    template <int sign>
    static BOXWOOD_INLINE Cx turn(Cx a) {
        return sign > 0 ? Cx{-a.im, a.re} : Cx{a.im, -a.re};
    }
    // a * exp(sign 2 pi i k / n)
    template <int sign>
    BOXWOOD_INLINE Cx twiddle(Cx a, int k) const {
        if (k == 0) return a;
        const T c = roots_[2 * k], s = sign > 0 ? roots_[2 * k + 1] : -roots_[2 * k + 1];
        return {a.re * c - a.im * s, a.re * s + a.im * c};
    }

    template <int sign>
    void pass2(int ido, int l1, const V* in, V* out) const {
        for (int k = 0; k < l1; ++k)
            for (int i = 0; i < ido; ++i) {
                const Cx a = get(in, i + ido * (2 * k)), b = get(in, i + ido * (2 * k + 1));
                put(out, i + ido * k, add(a, b));
                put(out, i + ido * (k + l1), twiddle<sign>(sub(a, b), l1 * i));
            }
    }

    template <int sign>
    void pass3(int ido, int l1, const V* in, V* out) const {
        const T s3 = (T)0.86602540378443864676;
        for (int k = 0; k < l1; ++k)
            for (int i = 0; i < ido; ++i) {
                const Cx a = get(in, i + ido * (3 * k)), b = get(in, i + ido * (3 * k + 1)),
                         c = get(in, i + ido * (3 * k + 2));
                const Cx sum = add(b, c), d = turn<sign>(sub(b, c));
                const Cx mid = {a.re - sum.re * (T)0.5, a.im - sum.im * (T)0.5};
                const Cx side = {d.re * s3, d.im * s3};
                put(out, i + ido * k, add(a, sum));
                put(out, i + ido * (k + l1), twiddle<sign>(add(mid, side), l1 * i));
                put(out, i + ido * (k + 2 * l1), twiddle<sign>(sub(mid, side), 2 * l1 * i));
            }
    }

    template <int sign>
    void pass4(int ido, int l1, const V* in, V* out) const {
        for (int k = 0; k < l1; ++k)
            for (int i = 0; i < ido; ++i) {
                const Cx a = get(in, i + ido * (4 * k)), b = get(in, i + ido * (4 * k + 1)),
                         c = get(in, i + ido * (4 * k + 2)), d = get(in, i + ido * (4 * k + 3));
                const Cx ac = add(a, c), a_c = sub(a, c), bd = add(b, d), b_d = turn<sign>(sub(b, d));
                put(out, i + ido * k, add(ac, bd));
                put(out, i + ido * (k + l1), twiddle<sign>(add(a_c, b_d), l1 * i));
                put(out, i + ido * (k + 2 * l1), twiddle<sign>(sub(ac, bd), 2 * l1 * i));
                put(out, i + ido * (k + 3 * l1), twiddle<sign>(sub(a_c, b_d), 3 * l1 * i));
            }
    }

    template <int sign>
    void pass5(int ido, int l1, const V* in, V* out) const {
        const T c1 = (T)0.30901699437494742410, c2 = (T)-0.80901699437494742410;
        const T s1 = (T)0.95105651629515357212, s2 = (T)0.58778525229247312917;
        for (int k = 0; k < l1; ++k)
            for (int i = 0; i < ido; ++i) {
                const V* p = in + 2 * (i + ido * 5 * k);
                const Cx a = get(p, 0), b = get(p, ido), c = get(p, 2 * ido), d = get(p, 3 * ido),
                         e = get(p, 4 * ido);
                const Cx be = add(b, e), b_e = turn<sign>(sub(b, e)), cd = add(c, d),
                         c_d = turn<sign>(sub(c, d));
                const Cx m1 = {a.re + be.re * c1 + cd.re * c2, a.im + be.im * c1 + cd.im * c2};
                const Cx m2 = {a.re + be.re * c2 + cd.re * c1, a.im + be.im * c2 + cd.im * c1};
                const Cx q1 = {b_e.re * s1 + c_d.re * s2, b_e.im * s1 + c_d.im * s2};
                const Cx q2 = {b_e.re * s2 - c_d.re * s1, b_e.im * s2 - c_d.im * s1};
                put(out, i + ido * k, add(a, add(be, cd)));
                put(out, i + ido * (k + l1), twiddle<sign>(add(m1, q1), l1 * i));
                put(out, i + ido * (k + 2 * l1), twiddle<sign>(add(m2, q2), 2 * l1 * i));
                put(out, i + ido * (k + 3 * l1), twiddle<sign>(sub(m2, q2), 3 * l1 * i));
                put(out, i + ido * (k + 4 * l1), twiddle<sign>(sub(m1, q1), 4 * l1 * i));
            }
    }

    template <int sign>
    void pass_prime(int p, int ido, int l1, const V* in, V* out) const {
        const int half = (p - 1) / 2;
        Buffer<Cx> sums(half + 1), differences(half + 1);
        for (int k = 0; k < l1; ++k)
            for (int i = 0; i < ido; ++i) {
                const Cx first = get(in, i + ido * p * k);
                Cx total = first;
                for (int j = 1; j <= half; ++j) {
                    const Cx a = get(in, i + ido * (j + p * k)), b = get(in, i + ido * (p - j + p * k));
                    sums[j] = add(a, b);
                    differences[j] = turn<sign>(sub(a, b));
                    total = add(total, sums[j]);
                }
                put(out, i + ido * k, total);
                for (int u = 1; u <= half; ++u) {
                    Cx even = first, odd = {V{}, V{}};
                    for (int j = 1, root = u; j <= half;
                         ++j, root = root + u >= p ? root + u - p : root + u) {
                        const T c = roots_[2 * (root * (n / p))], s = roots_[2 * (root * (n / p)) + 1];
                        even.re += sums[j].re * c;
                        even.im += sums[j].im * c;
                        odd.re += differences[j].re * s;
                        odd.im += differences[j].im * s;
                    }
                    put(out, i + ido * (k + l1 * u), twiddle<sign>(add(even, odd), u * l1 * i));
                    put(out, i + ido * (k + l1 * (p - u)), twiddle<sign>(sub(even, odd), (p - u) * l1 * i));
                }
            }
    }

    int factors_[32];
    int factor_count_ = 0;
    Buffer<T> roots_;
};

}  // namespace BOXWOOD_SIMD
}  // namespace boxwood

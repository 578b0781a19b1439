// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/exact_simd.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN

/// Guidance: combines a row of logits with the prompt and the same row without it.
/// `void operator()(std::span<float> conditional, std::span<const float> unconditional) const` writes the result into
/// `conditional`. Several threads call it concurrently for different rows.
template <class G>
concept guidance_policy =
    sampling_policy<G> && requires(const G& guidance, std::span<float> conditional,
                                   std::span<const float> unconditional) { guidance(conditional, unconditional); };

/// The id of the twin of a sequence: the copy, without the prompt, that follows all sequences in the canvas that a
/// model gets with guidance. It is the sequence's own id plus 2^63, in any batch and for the whole run, so models and
/// caches may be keyed by id. With guidance the sampler takes ids below 2^63 only: a twin's id is never another's.
constexpr std::uint64_t twin_id(std::uint64_t id) {
    return id | (std::uint64_t{1} << 63);
}

/// Classifier-free guidance in LLaDA's convention: u + (scale + 1)(c − u), where c and u are the logits with and
/// without the prompt; scale 0 gives c. (Other publications call scale + 1 the scale.) Computed as c + scale · (c − u),
/// where c − u may well be larger than a float.
///
/// A token that c forbids (−∞) stays forbidden; a token that only u forbids keeps c. NaN or +∞ in either row
/// stays in the result, and a result beyond the largest float becomes infinite. Throws invalid_argument if
/// the rows differ in length.
struct guidance {
    static constexpr auto kind = policy_kind::guidance;
    double scale = 0; ///< at least 0, and a float

    void check() const {
        if (!(scale >= 0 && scale <= static_cast<double>(detail::largest_float))) {
            throw invalid_argument("sampler", "guidance.scale", std::to_string(scale), "at least 0 and finite");
        }
    }
    void operator()(std::span<float> conditional, std::span<const float> unconditional) const {
        if (conditional.size() != unconditional.size()) {
            throw invalid_argument("guidance", "unconditional.size()", std::to_string(unconditional.size()),
                                   "conditional.size() (" + std::to_string(conditional.size()) + ")");
        }
        const auto weight = static_cast<float>(scale);
        constexpr std::size_t step = detail::lanes;
        std::size_t i = 0;
        for (; i + 4 * step <= conditional.size(); i += 4 * step) {
            float* const to = conditional.data() + i;
            const float* const from = unconditional.data() + i;
            if (!guide_finite<4>(to, from, weight)) {
                for (std::size_t k = 0; k < 4; ++k) {
                    guide(to + k * step, from + k * step, weight);
                }
            }
        }
        for (; i + step <= conditional.size(); i += step) {
            guide(conditional.data() + i, unconditional.data() + i, weight);
        }
        float last_conditional[step]{};
        float last_unconditional[step]{};
        const auto rest = conditional.subspan(i);
        std::copy(rest.begin(), rest.end(), last_conditional);
        std::copy(unconditional.begin() + static_cast<std::ptrdiff_t>(i), unconditional.end(), last_unconditional);
        guide(last_conditional, last_unconditional, weight);
        std::copy_n(last_conditional, rest.size(), rest.begin());
    }

private:
    using vbits = std::uint32_t __attribute__((vector_size(sizeof(detail::vfloat))));

    // Neither NaN nor infinite; from the bits: -ffast-math removes comparisons with these.
    static auto is_finite(vbits logits) {
        constexpr std::uint32_t infinity = 0x7f800000U;
        return (logits & infinity) != infinity;
    }

    // Guides `Count` registers, unless a logit is not finite or the way to a result is not: then it changes nothing.
    template <std::size_t Count>
    static bool guide_finite(float* conditional, const float* unconditional, float weight) {
        constexpr std::size_t step = detail::lanes;
        const detail::vfloat times = detail::broadcast(weight);
        detail::vfloat guided[Count];
        auto all = is_finite(vbits{});
        for (std::size_t k = 0; k < Count; ++k) {
            const detail::vfloat c = detail::load(conditional + k * step);
            guided[k] = detail::multiply_add(times, c - detail::load(unconditional + k * step), c);
            all &= is_finite(std::bit_cast<vbits>(guided[k]));
        }
        if (detail::lanes_where(~std::bit_cast<detail::vint>(all)) != 0) {
            return false;
        }
        for (std::size_t k = 0; k < Count; ++k) {
            detail::store(conditional + k * step, guided[k]);
        }
        return true;
    }

    // Guides any logits. With halves, what is beyond a float on the way is so in the end.
    static void guide(float* conditional, const float* unconditional, float weight) {
        constexpr std::uint32_t forbidden = 0xff800000U;
        const detail::vfloat c = detail::load(conditional);
        const detail::vfloat u = detail::load(unconditional);
        const detail::vfloat half_c = detail::rounded(c * 0.5F);
        const detail::vfloat half_u = detail::rounded(u * 0.5F);
        const detail::vfloat times = detail::broadcast(weight);
        const detail::vfloat half = detail::rounded(detail::multiply_add(times, half_c - half_u, half_c));
        const auto whole = std::bit_cast<vbits>(detail::multiply_add(times, c - u, c));
        const vbits guided = is_finite(whole) ? whole : std::bit_cast<vbits>(half + half);

        const auto c_bits = std::bit_cast<vbits>(c);
        const auto u_bits = std::bit_cast<vbits>(u);
        const auto c_fits = is_finite(c_bits) | (c_bits == forbidden);
        const auto u_fits = is_finite(u_bits) | (u_bits == forbidden);
        const vbits special = c_fits & ~u_fits ? u_bits : c_bits;
        const vbits result = is_finite(c_bits) & is_finite(u_bits) ? guided : special;
        detail::store(conditional, std::bit_cast<detail::vfloat>(result));
    }
};

UNMASK_NAMESPACE_END

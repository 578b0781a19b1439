// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/error.hpp>
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
/// without the prompt; scale 0 gives c. (Other publications call scale + 1 the scale.) Computed as c + scale · (c − u).
///
/// A token that c forbids (−∞) stays forbidden; a token that only u forbids keeps c. NaN or +∞ in either row
/// stays in the result, and a result beyond the largest float becomes infinite. Throws invalid_argument if
/// the rows differ in length.
struct guidance {
    static constexpr auto kind = policy_kind::guidance;
    double scale = 0; ///< at least 0

    void check() const {
        if (!(scale >= 0 && scale <= std::numeric_limits<float>::max())) {
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
    // Special values are recognised by their bits: -ffast-math removes comparisons with them.
    static void guide(float* conditional, const float* unconditional, float weight) {
        using vbits = std::uint32_t __attribute__((vector_size(sizeof(detail::vfloat))));
        constexpr std::uint32_t infinity = 0x7f800000U;
        constexpr std::uint32_t forbidden = 0xff800000U;
        const detail::vfloat c = detail::load(conditional);
        const detail::vfloat u = detail::load(unconditional);
        const auto c_bits = std::bit_cast<vbits>(c);
        const auto u_bits = std::bit_cast<vbits>(u);
        const auto guided = std::bit_cast<vbits>(c + weight * (c - u));
        const auto c_bad = ((c_bits << 1) > 0xff000000U) | (c_bits == infinity);
        const auto u_bad = ((u_bits << 1) > 0xff000000U) | (u_bits == infinity);
        const auto keep_c = c_bad | (c_bits == forbidden) | (u_bits == forbidden);
        const auto keep_u = u_bad & ~c_bad;
        const vbits finite = keep_c ? c_bits : guided;
        const vbits result = keep_u ? u_bits : finite;
        detail::store(conditional, std::bit_cast<detail::vfloat>(result));
    }
};

UNMASK_NAMESPACE_END

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/prefix.hpp>

UNMASK_NAMESPACE_BEGIN

/// True for a mask type that divides positions into consecutive blocks and lets no block see a later one. Whatever
/// follows, the keys and values of the first blocks then never change, and a kv_cache of them is exact.
///
/// True for causal, block, and prefix (whose first `length` positions are one block); for `a && b` if either mask looks
/// back, for `a || b` if both do, for extra_sink if the inner mask does. False for all others: that a sliding_window
/// sees 0 positions ahead is a number, which its type does not show (write `causal{} && sliding_window{…}`).
/// Specialise the variable for a mask of your own that looks back:
///
///     template <>
///     inline constexpr bool unmask::looks_back<my_mask> = true;
template <class Mask>
inline constexpr bool looks_back = false;

template <>
inline constexpr bool looks_back<causal> = true;
template <>
inline constexpr bool looks_back<block> = true;
template <>
inline constexpr bool looks_back<prefix> = true;
template <class A, class B>
inline constexpr bool looks_back<mask_and<A, B>> = looks_back<A> || looks_back<B>;
template <class A, class B>
inline constexpr bool looks_back<mask_or<A, B>> = looks_back<A> && looks_back<B>;
template <class Inner>
inline constexpr bool looks_back<extra_sink<Inner>> = looks_back<Inner>;

UNMASK_NAMESPACE_END

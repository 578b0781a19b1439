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

/// True for a mask whose positions fall into blocks, one after the other, of which none sees a later one. What a model
/// computes for the first blocks then never changes, whatever follows, and a kv_cache of them is exact.
///
/// True for causal, block, and prefix (whose first `length` positions are one block); for `a && b` if it is for one of
/// them, for `a || b` if it is for both, for extra_sink if it is for the inner mask. False for the rest: a sliding
/// window that looks ahead by 0 is a number, not a type (write `causal{} && sliding_window{…}`). Say it of a mask of
/// your own:
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

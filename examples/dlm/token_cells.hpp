// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>
#include <vector>

#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>

#include "terminal_view.hpp"
#include "tokenizer/tokenizer.hpp"

namespace dlm {

/// What a terminal shows of a canvas' first sequence: a dot for a masked token, fresh what was just written. Characters
/// that a terminal would obey are shown as U+FFFD.
std::vector<examples::cell> token_cells(const unmask::canvas& page, std::span<const unmask::commitment> commitments,
                                        const tokenizer& words);

} // namespace dlm

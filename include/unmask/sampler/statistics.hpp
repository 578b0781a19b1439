// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// What a run cost and gave.
struct statistics {
    /// Function evaluations by purpose, each of one sequence: a call on a batch counts once for every sequence that it
    /// has rows of, so that the numbers of a sequence don't depend on the batch it is in.
    struct evaluations {
        index_t denoise = 0;
    };

    index_t calls = 0;              ///< of denoise()
    evaluations nfe{};              ///< equal to calls for a single sequence
    index_t rows = 0;               ///< of logits that were asked for
    index_t committed = 0;          ///< positions that got a drawn token
    index_t filled = 0;             ///< masked positions that a stop rule filled with the end token
    index_t useful = 0;             ///< committed positions up to and including their sequence's first end token
    double seconds_in_model = 0;    ///< wall time inside denoise()
    double seconds_in_sampling = 0; ///< wall time of everything else, the observer included
    bool stopped_early = false;     ///< the observer ended the run

    /// Useful tokens per function evaluation; 0 if there was none.
    [[nodiscard]] double tpf() const {
        return nfe.denoise > 0 ? static_cast<double>(useful) / static_cast<double>(nfe.denoise) : 0.0;
    }
};

UNMASK_NAMESPACE_END

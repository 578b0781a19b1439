// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// What a run cost and gave.
struct statistics {
    /// Function evaluations by purpose, each of one sequence: a call on a batch counts once for every sequence that it
    /// has rows of, so that the numbers of a sequence don't depend on the batch it is in.
    struct evaluations {
        index_t denoise = 0;       ///< that decide about tokens
        index_t unconditional = 0; ///< without the prompt, for guidance; batched with the others
        index_t verify = 0;        ///< of `denoise`, those that carried a shadow block
        index_t prefill = 0;       ///< of a block_denoiser: keys and values of a prompt
        index_t commit = 0;        ///< of a block_denoiser: keys and values of a block that is final
    };

    index_t calls = 0;               ///< of denoise()
    evaluations nfe{};               ///< nfe.denoise is equal to calls for a single sequence
    index_t wasted = 0;              ///< of nfe.denoise, those after which the sequence was as before
    index_t rows = 0;                ///< of logits that were asked for
    index_t committed = 0;           ///< times that a position got a drawn token
    index_t remasked = 0;            ///< times that a committed position was masked again
    index_t edited = 0;              ///< times that a committed position got another token
    index_t filled = 0;              ///< masked positions that a stop rule filled with the end token
    index_t useful = 0;              ///< committed positions up to and including their sequence's first end token
    double seconds_in_model = 0;     ///< wall time inside the model's functions
    double seconds_in_sampling = 0;  ///< wall time of everything else, the observer included
    index_t polling_interval = 0;    ///< on a GPU without conditional graphs: up to this many idle steps ran at the end
    bool stopped_early = false;      ///< the observer ended the run

    /// Useful tokens per function evaluation; 0 if there was none.
    [[nodiscard]] double tpf() const {
        return nfe.denoise > 0 ? static_cast<double>(useful) / static_cast<double>(nfe.denoise) : 0.0;
    }
};

UNMASK_NAMESPACE_END

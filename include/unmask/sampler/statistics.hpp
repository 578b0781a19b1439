// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// The cost and the outcome of a run.
struct statistics {
    /// Function evaluations by purpose, counted per sequence: a call on a batch counts once for each sequence that it
    /// has rows of, so a sequence has the same counts in any batch.
    struct evaluations {
        index_t denoise = 0;       ///< evaluations that decide about tokens
        index_t unconditional = 0; ///< without the prompt, for guidance; batched with the others
        index_t verify = 0;        ///< of `denoise`, those that carried a shadow block
        index_t prefill = 0;       ///< by a block_denoiser, for the keys and values of a prompt
        index_t commit = 0;        ///< by a block_denoiser, for the keys and values of a final block
    };

    index_t calls = 0;              ///< calls of denoise()
    evaluations nfe{};              ///< for a single sequence, nfe.denoise equals calls
    index_t wasted = 0;             ///< of nfe.denoise, those that left the sequence unchanged
    index_t rows = 0;               ///< rows of logits that were requested
    index_t committed = 0;          ///< number of times a position got a drawn token
    index_t remasked = 0;           ///< number of times a committed position was masked again
    index_t edited = 0;             ///< number of times a committed position got another token
    index_t filled = 0;             ///< masked positions that a stop rule filled with the end token
    index_t useful = 0;             ///< committed positions up to and including their sequence's first end token
    double seconds_in_model = 0;    ///< wall time in the model's functions
    double seconds_in_sampling = 0; ///< wall time of everything else, the observer included
    index_t idle_calls = 0;     ///< on a GPU without conditional graphs: further calls, at most, that asked for no row
    bool stopped_early = false; ///< true if the observer ended the run

    /// Useful tokens per function evaluation; 0 if there was no evaluation.
    [[nodiscard]] double tpf() const {
        return nfe.denoise > 0 ? static_cast<double>(useful) / static_cast<double>(nfe.denoise) : 0.0;
    }
};

UNMASK_NAMESPACE_END

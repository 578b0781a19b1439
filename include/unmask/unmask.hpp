// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// Everything that a host compiler can use. Each header also stands alone: include less to compile faster.

#include <unmask/attention/attention.hpp>
#include <unmask/attention/attention_state.hpp>
#include <unmask/attention/reference.hpp>
#include <unmask/attention/tensors.hpp>
#include <unmask/config.hpp>
#include <unmask/cpu/executor.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/mask/tiles.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>
#include <unmask/tensor/dlpack.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>
#include <unmask/version.hpp>

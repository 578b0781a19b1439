// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>

#include <unmask/io/shown.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>

#include "sink_names.hpp"
#include "transformer.hpp"

namespace language_model {

/// Calls use(model) with the transformer whose policies a name stands for: from here on they are types.
template <class Use>
decltype(auto) with_variant(const std::string& sink, const model_shape& shape, Use&& use) {
    using unmask::bidirectional;
    if (sink == "none") {
        return use(transformer<bidirectional>(shape));
    }
    if (sink == "token") {
        return use(transformer<unmask::extra_sink<bidirectional>>(shape, {.inner = {}, .position = 0, .count = 1}));
    }
    if (sink == "off_by_one") {
        return use(transformer<bidirectional, unmask::off_by_one_sink>(shape));
    }
    if (sink == "logit") {
        return use(transformer<bidirectional, unmask::logit_sink>(shape));
    }
    if (sink == "key") {
        return use(transformer<bidirectional, unmask::key_sink>(shape));
    }
    if (sink == "key_value") {
        return use(transformer<bidirectional, unmask::key_value_sink>(shape));
    }
    throw std::invalid_argument("the sink is " + unmask::shown(sink) + ", expected " + list_of_sink_names());
}

} // namespace language_model

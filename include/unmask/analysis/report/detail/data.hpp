// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/analysis/report/metrics.hpp>
#include <unmask/analysis/report/report.hpp>
#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>

// The data of the page that write_sink_html writes, as JSON. drawing.hpp reads it.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The page keeps a number of [0, 1] in a byte: 0 for 0 and what is too small, else a power of 2. Shares of attention
// have 18 octaves in steps of 5 %, norms of values, over the largest of the run, 8 octaves in steps of 2 %.
inline constexpr double share_codes = 14;
inline constexpr double norm_codes = 32;

inline std::uint8_t page_code(double value, double codes_per_octave) {
    const double code = 255 + codes_per_octave * std::log2(value);
    return code >= 1 ? static_cast<std::uint8_t>(std::min(255.0, code + 0.5)) : std::uint8_t{0};
}

inline std::string base64(const std::vector<std::uint8_t>& bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            group = group << 8 | (j < left ? bytes[i + j] : 0U);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            text += j <= left ? digits[group >> (18 - 6 * j) & 63] : '=';
        }
    }
    return text;
}

// One sequence of a run for the page. Records may be of different lengths; the page has them as long as the longest,
// extra sinks after that.
class page_sequence {
public:
    explicit page_sequence(std::span<const sink_record> steps) : steps_(steps) {
        for (const sink_record& step : steps) {
            length_ = std::max(length_, step.length);
        }
    }

    // Bytes [steps, layers, rows, keys] of value(step, layer, row, key).
    template <class Value>
    [[nodiscard]] std::string cube(index_t rows, double codes_per_octave, const Value& value) const {
        std::vector<std::uint8_t> bytes;
        for (const sink_record& step : steps_) {
            for (index_t layer = 0; layer < step.layers; ++layer) {
                for (index_t row = 0; row < rows; ++row) {
                    for (index_t key = 0; key < length_ + step.sinks; ++key) {
                        const index_t own = key < length_ ? key : key - length_ + step.length;
                        const bool there = key >= length_ || key < step.length;
                        bytes.push_back(there ? page_code(value(step, layer, row, own), codes_per_octave)
                                              : std::uint8_t{0});
                    }
                }
            }
        }
        return base64(bytes);
    }

    // A bit for each step and position, the lowest of a byte first.
    [[nodiscard]] std::string masked() const {
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>((std::ssize(steps_) * length_ + 7) / 8));
        index_t row = 0;
        for (const sink_record& step : steps_) {
            for (std::size_t i = 0; i < step.masked.size(); ++i) {
                const auto bit = static_cast<std::size_t>(row) + i;
                bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (step.masked[i] != 0 ? 1U : 0U) << bit % 8);
            }
            row += length_;
        }
        return base64(bytes);
    }

    // For each step, what changed since the one before: position, token, position, token.
    [[nodiscard]] std::string tokens() const {
        std::vector<token_t> now(static_cast<std::size_t>(length_), -1);
        return json_array(steps_, [&](const sink_record& step) {
            std::vector<index_t> changes;
            for (std::size_t i = 0; i < step.tokens.size(); ++i) {
                if (now[i] != step.tokens[i]) {
                    now[i] = step.tokens[i];
                    changes.push_back(static_cast<index_t>(i));
                    changes.push_back(step.tokens[i]);
                }
            }
            return json_array(changes, [](index_t each) { return shortest(each); });
        });
    }

    // [steps · layers · (heads + 1)] lists of keys: those of each head, and of the mean of the heads.
    template <class Definition>
    [[nodiscard]] std::string sinks(const Definition& definition) const {
        std::string result = "[";
        for (const sink_record& step : steps_) {
            for (index_t layer = 0; layer < step.layers; ++layer) {
                for (index_t head = 0; head <= step.heads; ++head) {
                    result += result.size() > 1 ? "," : "";
                    result += marked(sinks_in(step, layer, head, definition), step.length);
                }
            }
        }
        return result + ']';
    }

    [[nodiscard]] index_t length() const { return length_; }

private:
    [[nodiscard]] std::string marked(const std::vector<std::uint8_t>& is_sink, index_t own_length) const {
        std::vector<index_t> keys;
        for (index_t key = 0; key < std::ssize(is_sink); ++key) {
            if (is_sink[static_cast<std::size_t>(key)] != 0) {
                keys.push_back(key < own_length ? key : key - own_length + length_);
            }
        }
        return json_array(keys, [](index_t key) { return shortest(key); });
    }

    std::span<const sink_record> steps_;
    index_t length_ = 0;
};

template <class Definition>
std::string page_json(std::span<const sink_record> steps, double largest_norm, const Definition& definition) {
    const sink_record& first = steps.front();
    const page_sequence page(steps);
    const auto at = [](index_t i) { return static_cast<std::size_t>(i); };
    const auto share = [&](const sink_record& step, index_t layer, index_t head, index_t key) {
        const double sum = static_cast<double>(step.received[at((layer * step.heads + head) * step.keys() + key)]);
        return sum / static_cast<double>(step.seen_by[at(layer * step.keys() + key)]); // 0 / 0 has code 0 too
    };
    const auto norm = [&](const sink_record& step, index_t layer, index_t head, index_t key) {
        const float value = step.value_norms[at((layer * step.kv_heads + head) * step.keys() + key)];
        return static_cast<double>(value) / largest_norm;
    };
    std::string uniform = "[";
    std::vector<double> similarity;
    index_t with_similarity = 0;
    for (const sink_record& step : steps) {
        for (index_t layer = 0; layer < step.layers; ++layer) {
            uniform += (uniform.size() > 1 ? "," : "") + shortest(static_cast<float>(uniform_share(step, layer)));
        }
        similarity.resize(std::max(similarity.size(), step.similarity.size()));
        for (std::size_t i = 0; i < step.similarity.size(); ++i) {
            similarity[i] += step.similarity[i];
        }
        with_similarity += step.similarity.empty() ? 0 : 1;
    }
    return "{\"sequence\":" + shortest(first.sequence) + ",\"length\":" + shortest(page.length()) +
           ",\"calls\":" + json_array(steps, [](const sink_record& step) { return shortest(step.call); }) +
           ",\"lengths\":" + json_array(steps, [](const sink_record& step) { return shortest(step.length); }) +
           ",\"similarity\":" +
           json_array(similarity,
                      [&](double sum) {
                          return json_or_null(static_cast<float>(sum / static_cast<double>(with_similarity)));
                      }) +
           ",\n\"uniform\":" + uniform + "],\n\"sinks\":" + page.sinks(definition) + ",\n\"tokens\":" + page.tokens() +
           ",\n\"masked\":\"" + page.masked() + "\",\n\"norms\":\"" + page.cube(first.kv_heads, norm_codes, norm) +
           "\",\n\"received\":\"" + page.cube(first.heads, share_codes, share) + "\"}";
}

// For each layer and head, and after them the mean of the heads: what the strongest key receives, over uniform
// attention, mean over all records. And the most that is there.
struct page_strengths {
    std::vector<double> means; // [layers, heads + 1]
    double most = 0;
};

inline page_strengths strengths_of(const report_run& run) {
    const sink_record& shape = run.shape();
    page_strengths result{std::vector<double>(static_cast<std::size_t>(shape.layers * (shape.heads + 1))), 0};
    for (const sink_record& record : run.records) {
        std::size_t i = 0;
        for (index_t layer = 0; layer < record.layers; ++layer) {
            const double uniform = uniform_share(record, layer);
            for (index_t head = 0; head <= record.heads; ++head, ++i) {
                double strongest = 0;
                for (const double share : received_by(record, layer, head, attention_unit::mean)) {
                    strongest = share > strongest ? share : strongest;
                }
                result.means[i] += strongest / uniform / static_cast<double>(run.records.size());
                result.most = std::max(result.most, strongest / uniform);
            }
        }
    }
    return result;
}

inline double largest_norm_of(const report_run& run) {
    float largest = 0;
    for (const sink_record& record : run.records) {
        for (const float norm : record.value_norms) {
            largest = norm > largest ? norm : largest;
        }
    }
    return largest > 0 ? static_cast<double>(largest) : 1.0;
}

template <class Definition>
std::string page_json(const report_run& run, const Definition& definition) {
    const sink_record& shape = run.shape();
    const double largest_norm = largest_norm_of(run);
    const auto number = [](double value) { return json_or_null(static_cast<float>(value)); };
    const page_strengths strengths = strengths_of(run);
    const sink_metric_table metrics = metrics_of(run, definition);
    const auto row = [&](const sink_metric_row& values) { return json_array(values, number); };
    return "{\"name\":" + json_string(run.name) + ",\"layers\":" + shortest(shape.layers) +
           ",\"heads\":" + shortest(shape.heads) + ",\"kv_heads\":" + shortest(shape.kv_heads) +
           ",\"sinks\":" + shortest(shape.sinks) + ",\"most\":" + number(strengths.most) +
           ",\n\"strength\":" + json_array(strengths.means, number) +
           ",\n\"metrics\":" + json_array(metrics.rows, row) + ",\n\"summary\":" + row(metrics.summary) +
           ",\n\"sequences\":" +
           json_array(run.sequences(),
                      [&](std::span<const sink_record> steps) { return page_json(steps, largest_norm, definition); }) +
           "}";
}

// The tokens that occur.
inline std::vector<token_t> page_tokens(const std::vector<report_run>& runs) {
    std::vector<token_t> tokens;
    for (const report_run& run : runs) {
        for (const sink_record& record : run.records) {
            tokens.insert(tokens.end(), record.tokens.begin(), record.tokens.end());
        }
    }
    return tokens;
}

inline std::string page_columns() {
    return json_array(sink_metrics, [](const sink_metric& metric) {
        return std::string("{\"title\":") + json_string(metric.title) + ",\"meaning\":" + json_string(metric.meaning) +
               "}";
    });
}

} // namespace detail

UNMASK_NAMESPACE_END

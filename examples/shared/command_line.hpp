// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>

#include <unmask/io/shown.hpp>

#include "integers.hpp"

namespace examples {

using unmask::shown;

/// Options of the form `--name value` and `--name` alone; the last of a name holds. Asking for one makes it known;
/// `finish` refuses the rest. Everything wrong is std::invalid_argument, in the words of the command line.
class command_line {
public:
    command_line(int count, char** words) {
        std::string name;
        for (int i = 1; i < count; ++i) {
            const std::string word = words[i];
            if (word.rfind("--", 0) == 0) {
                name = word.substr(2);
                values_[name].reset();
            } else {
                expects(!name.empty(), shown(word) + " belongs to no option");
                values_[name] = word;
                name.clear();
            }
        }
    }

    /// Was the option given?
    bool has(const std::string& name) {
        known_.insert(name);
        return values_.count(name) != 0;
    }

    /// Was the option given, which is one without a value?
    bool flag(const std::string& name) {
        if (!has(name)) {
            return false;
        }
        const std::optional<std::string>& value = values_[name];
        expects(!value, "--" + name + " is " + shown(value.value_or("")) + ", expected no value");
        return true;
    }

    std::string text(const std::string& name, const std::string& otherwise) {
        if (!has(name)) {
            return otherwise;
        }
        const std::string& value = value_of(name);
        expects(!value.empty(), "--" + name + " is empty, expected at least one character");
        return value;
    }

    index_t integer(const std::string& name, index_t otherwise, const integers& valid = {}) {
        if (!has(name)) {
            return otherwise;
        }
        const std::optional<index_t> value = valid.parse(value_of(name));
        expects(value.has_value(), "--" + name + " is " + shown(value_of(name)) + ", expected " + valid.description());
        return *value;
    }

    double number(const std::string& name, double otherwise) {
        if (!has(name)) {
            return otherwise;
        }
        const std::string& value = value_of(name);
        double result = 0.0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
        expects(error == std::errc() && end == value.data() + value.size() && std::isfinite(result),
                "--" + name + " is " + shown(value) + ", expected a number");
        return result;
    }

    /// Refuses an option beside another one, with the reason.
    void refuse_beside(const std::string& name, const std::string& other, const std::string& reason) {
        expects(!has(name) || !has(other), "--" + name + " is given beside --" + other + ": " + reason);
    }

    /// Refuses options that nobody asked for.
    void finish() const {
        for (const auto& [name, value] : values_) {
            expects(known_.count(name) != 0, "there is no option --" + name);
        }
    }

private:
    static void expects(bool condition, const std::string& fault) {
        if (!condition) {
            throw std::invalid_argument(fault);
        }
    }

    const std::string& value_of(const std::string& name) {
        expects(values_[name].has_value(), "--" + name + " needs a value");
        return *values_[name];
    }

    std::map<std::string, std::optional<std::string>> values_; ///< nothing: the name stood alone
    std::set<std::string> known_;
};

} // namespace examples

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include <unmask/config.hpp>

namespace language_model {

/// Options of the form `--name value` and `--name` alone. Asking for one makes it known; `finish` refuses the rest.
class command_line {
public:
    /// Throws std::invalid_argument at a word that belongs to no option.
    command_line(int count, char** words) {
        std::string name;
        for (int i = 1; i < count; ++i) {
            const std::string word = words[i];
            if (word.rfind("--", 0) == 0) {
                name = word.substr(2);
                values_[name].clear();
            } else if (!name.empty()) {
                values_[name] = word;
                name.clear();
            } else {
                throw std::invalid_argument("'" + word + "' belongs to no option");
            }
        }
    }

    /// Was the option given?
    bool flag(const std::string& name) {
        known_.insert(name);
        return values_.count(name) != 0;
    }

    std::string text(const std::string& name, const std::string& otherwise) {
        if (flag(name) && values_[name].empty()) {
            throw std::invalid_argument("--" + name + " needs a value");
        }
        return flag(name) ? values_[name] : otherwise;
    }

    unmask::index_t integer(const std::string& name, unmask::index_t otherwise) {
        return convert(name, otherwise, [](const std::string& value, std::size_t& used) {
            return static_cast<unmask::index_t>(std::stoll(value, &used));
        });
    }

    double number(const std::string& name, double otherwise) {
        return convert(name, otherwise,
                       [](const std::string& value, std::size_t& used) { return std::stod(value, &used); });
    }

    /// Throws std::invalid_argument if an option was given that nobody asked for.
    void finish() const {
        for (const auto& [name, value] : values_) {
            if (known_.count(name) == 0) {
                throw std::invalid_argument("there is no option --" + name);
            }
        }
    }

private:
    template <class Number, class Convert>
    Number convert(const std::string& name, Number otherwise, Convert&& from) {
        if (!flag(name)) {
            return otherwise;
        }
        const std::string& value = values_[name];
        try {
            std::size_t used = 0;
            const Number result = from(value, used);
            if (used == value.size()) {
                return result;
            }
        } catch (const std::logic_error&) { // not a number, or too large: reported below
        }
        throw std::invalid_argument("--" + name + " is '" + value + "', expected a number");
    }

    std::map<std::string, std::string> values_;
    std::set<std::string> known_;
};

} // namespace language_model

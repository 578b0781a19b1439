// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cctype>
#include <cstdlib>
#include <set>

#include "parsed.hpp"
#include "tokens.hpp"

namespace ptx {
namespace {

// and, or and xor of a predicate and a constant, which nvcc writes for "not": as not and mov.
statement without_constant_predicates(statement s) {
    const bool is_logic = s.opcode == "xor" || s.opcode == "and" || s.opcode == "or";
    if (!is_logic || !s.has("pred") || s.operands.size() != 3) {
        return s;
    }
    if (s.operands[1].kind == operand_kind::integer) {
        std::swap(s.operands[1], s.operands[2]);
    }
    if (s.operands[2].kind == operand_kind::integer) {
        const bool set = s.operands[2].value != 0;
        const bool is_constant = (s.opcode == "and" && !set) || (s.opcode == "or" && set);
        if (is_constant) {
            s.operands[1] = s.operands[2];
        }
        s.opcode = s.opcode == "xor" && set ? "not" : "mov";
        s.operands.pop_back();
    }
    return s;
}

class parser : token_reader {
public:
    explicit parser(std::string_view text) : token_reader(text) {}

    parsed_module run() {
        parsed_module result;
        while (peek().kind != token_kind::end) {
            if (is(".target")) {
                next();
                const std::string target = next().text; // sm_80, or sm_90a
                result.target = std::atoi(target.c_str() + target.find_first_of("0123456789"));
                while (skip(",")) {
                    next();
                }
            } else if (is(".version") || is(".address_size") || is(".loc")) {
                skip_line();
            } else if (is(".file")) {
                source_file();
            } else if (is(".section")) {
                while (!is("{")) {
                    next();
                }
                skip_braces();
            } else {
                declaration(result);
            }
        }
        name_sources(result);
        return result;
    }

private:
    // .file number "name"
    void source_file() {
        next();
        const std::string file = next().text;
        const std::string name = next().text;
        files_[file] = name.substr(name.rfind('/') + 1);
    }
    // Puts the names of files, which come last, in place of their numbers.
    void name_sources(parsed_module& in) {
        for (function& f : in.functions) {
            for (statement& s : f.statements) {
                if (!s.source.empty()) {
                    const std::size_t colon = s.source.find(':');
                    s.source = files_[s.source.substr(0, colon)] + s.source.substr(colon);
                }
            }
        }
    }
    // .loc file line column, of the statements that follow
    void source_line() {
        const int line = peek().line;
        next();
        const std::string file = next().text;
        source_ = file + ":" + next().text;
        while (peek().line == line) {
            next();
        }
    }

    void declaration(parsed_module& to) {
        bool is_extern = false;
        while (is(".visible") || is(".weak") || is(".extern") || is(".common")) {
            is_extern = is_extern || is(".extern");
            next();
        }
        if (is(".entry") || is(".func")) {
            to.functions.push_back(read_function());
        } else if (is(".global") || is(".const") || is(".shared")) {
            variable one = read_variable();
            one.is_extern = one.is_extern || (is_extern && one.space == "shared");
            to.variables.push_back(one);
            expect(";");
        } else if (!skip(";")) {
            fail("unknown declaration");
        }
    }

    // .space .align n .type name[count] = {…}
    variable read_variable() {
        variable result;
        result.space = next().text.substr(1);
        int bits = 8;
        bool of_pointer = false; // what a parameter points to
        while (peek().text[0] == '.') {
            const std::string word = next().text;
            if (word == ".align") {
                const auto align = static_cast<int>(number());
                result.align = of_pointer ? result.align : align;
            } else if (word == ".ptr") {
                of_pointer = true;
            } else if (word == ".v2" || word == ".v4") {
                fail("a variable that is a vector");
            } else if (bits_of_type(word) > 0) {
                bits = bits_of_type(word);
            }
        }
        result.name = next().text;
        std::uint64_t count = 1;
        if (skip("[")) {
            result.is_extern = is("]");
            count = result.is_extern ? 0 : static_cast<std::uint64_t>(number());
            expect("]");
        }
        const int size = bits / 8;
        result.align = std::max(result.align, size);
        result.bytes = count * static_cast<std::uint64_t>(size);
        if (skip("=")) {
            const bool braces = skip("{");
            do {
                initial_value(result, size);
            } while (braces && skip(","));
            if (braces) {
                expect("}");
            }
        }
        return result;
    }
    void initial_value(variable& to, int size) {
        std::uint64_t bits = 0;
        if (peek().kind == token_kind::word) { // a symbol's address, or generic(symbol)
            std::string name = next().text;
            if (name == "generic") {
                expect("(");
                name = next().text;
                expect(")");
            }
            to.addresses.emplace_back(to.contents.size(), name);
            bits = skip("+") ? static_cast<std::uint64_t>(number()) : 0;
        } else {
            bits = static_cast<std::uint64_t>(is_real() ? real_bits() : number());
        }
        for (int i = 0; i < size; ++i) {
            to.contents.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
        }
    }

    function read_function() {
        function result;
        const bool is_entry = next().text == ".entry";
        if (!is_entry && is("(")) {
            (void)read_parameters();
        }
        result.name = next().text;
        if (is("(")) {
            result.parameters = read_parameters();
        }
        while (peek().kind == token_kind::word) {
            const std::string word = next().text;
            if (word == ".maxntid" || word == ".reqntid") {
                std::int64_t threads = number();
                while (skip(",")) {
                    threads *= number();
                }
                result.max_threads = static_cast<int>(threads);
            } else if (word == ".minnctapersm" || word == ".maxnreg") {
                number();
            } else if (word == ".pragma") {
                next();
                expect(";");
            } else if (word != ".noreturn") {
                fail("unknown directive " + word);
            }
        }
        if (!skip(";")) {
            result.has_body = true;
            body(result);
        }
        return result;
    }
    std::vector<variable> read_parameters() {
        std::vector<variable> result;
        expect("(");
        while (!skip(")")) {
            result.push_back(read_variable());
            skip(",");
        }
        return result;
    }

    // Names of inner scopes get a number: a call or inline assembly declares the same ones again and again.
    std::string unique(const std::string& name) {
        const std::string result = scopes_.size() > 1 ? name + "@" + std::to_string(++scope_names_) : name;
        scopes_.back()[name] = result;
        return result;
    }
    std::string resolved(const std::string& name) const {
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
            if (const auto found = scope->find(name); found != scope->end()) {
                return found->second;
            }
        }
        return name;
    }
    void declare_register(function& f, const std::string& name, int bits) {
        const std::string own = unique(name);
        f.registers[own] = bits;
        if (own[0] != '%') { // inline assembly's often have none
            plain_registers_.insert(own);
        }
    }

    void body(function& f) {
        expect("{");
        scopes_.assign(1, {});
        source_.clear();
        while (!scopes_.empty()) {
            if (peek().kind == token_kind::end) {
                fail("a function without end");
            }
            if (skip("{")) {
                scopes_.emplace_back();
            } else if (skip("}")) {
                scopes_.pop_back();
            } else if (is(".reg")) {
                registers(f);
            } else if (is(".local") || is(".shared") || is(".param")) {
                variable one = read_variable();
                one.name = one.space == "param" ? unique(one.name) : one.name;
                f.variables.push_back(one);
                expect(";");
            } else if (is(".loc")) {
                source_line();
            } else if (skip(".pragma")) {
                next();
                expect(";");
            } else if (peek().kind == token_kind::word && peek(1).text == ":") {
                label(f);
            } else if (!skip(";")) {
                f.statements.push_back(without_constant_predicates(read_statement()));
            }
        }
    }
    void label(function& f) {
        const std::string name = next().text;
        next();
        if (skip(".branchtargets")) {
            while (!skip(";")) {
                f.branch_targets[name].push_back(next().text);
                skip(",");
            }
        } else if (is(".callprototype")) {
            while (!skip(";")) {
                next();
            }
        } else {
            f.labels[name] = static_cast<int>(f.statements.size());
        }
    }
    void registers(function& f) {
        next();
        const int bits = bits_of_type(next().text);
        do {
            const std::string name = next().text;
            if (skip("<")) {
                const std::int64_t count = number();
                expect(">");
                for (std::int64_t i = 0; i < count; ++i) {
                    declare_register(f, name + std::to_string(i), bits);
                }
            } else {
                declare_register(f, name, bits);
            }
        } while (skip(","));
        expect(";");
    }

    statement read_statement() {
        statement s;
        s.line = peek().line;
        s.source = source_;
        const std::size_t first = place();
        if (skip("@")) {
            s.guard_negated = skip("!");
            s.guard = resolved(next().text);
        }
        const std::string word = next().text;
        std::size_t begin = word.find('.');
        s.opcode = word.substr(0, begin);
        while (begin != std::string::npos) {
            const std::size_t end = word.find('.', begin + 1);
            s.modifiers.push_back(word.substr(begin + 1, end == std::string::npos ? end : end - begin - 1));
            begin = end;
        }
        if (s.opcode == "call") {
            call(s);
        } else {
            while (!is(";")) {
                s.operands.push_back(read_operand());
                if (!skip(",") && !is(";")) {
                    fail("expected ','");
                }
            }
        }
        s.text = text_since(first);
        expect(";");
        return s;
    }

    // call{.uni} (results), function, (arguments)
    void call(statement& s) {
        const auto list = [&] {
            std::vector<std::string> names;
            expect("(");
            while (!skip(")")) {
                names.push_back(resolved(next().text));
                skip(",");
            }
            return names;
        };
        if (is("(")) {
            s.results = list();
            expect(",");
        }
        s.callee = next().text;
        if (skip(",")) {
            s.arguments = list();
        }
        while (!is(";")) {
            next();
        }
    }

    operand read_operand() {
        operand o;
        if (skip("{")) {
            o.kind = operand_kind::vector;
            while (!skip("}")) {
                o.parts.push_back(read_operand());
                skip(",");
            }
        } else if (skip("[")) {
            o.kind = operand_kind::address;
            if (peek().kind == token_kind::word) {
                o.name = resolved(next().text);
            }
            if (skip("+") || !is("]")) {
                o.value = number();
            }
            expect("]");
        } else if (skip("!")) {
            o = read_operand();
            o.negated = true;
        } else if (is_real()) {
            o.kind = operand_kind::real;
            o.real_bits = std::tolower(static_cast<unsigned char>(peek().text[1])) == 'f' ? 32 : 64;
            o.value = real_bits();
        } else if (peek().kind == token_kind::number || is("-")) {
            o.value = number();
        } else {
            o.name = resolved(next().text);
            const bool is_register = o.name[0] == '%' || plain_registers_.count(o.name) > 0;
            o.kind = is_register ? operand_kind::reg : operand_kind::symbol;
            if (skip("|")) {
                o.second = resolved(next().text);
            }
            if (o.kind == operand_kind::symbol && skip("+")) {
                o.value = number();
            }
        }
        return o;
    }

    std::vector<std::map<std::string, std::string>> scopes_;
    std::set<std::string> plain_registers_;
    int scope_names_ = 0;
    std::map<std::string, std::string> files_; // by number
    std::string source_;
};

} // namespace

parsed_module parse(std::string_view text) {
    return parser(text).run();
}

int bits_of_type(std::string_view type) {
    if (type == "pred" || type == ".pred") {
        return 1;
    }
    if (type == "f16x2" || type == "bf16x2") {
        return 32;
    }
    const std::size_t digits = type.find_first_of("0123456789");
    return digits == std::string_view::npos ? 0 : std::atoi(std::string(type.substr(digits)).c_str());
}

} // namespace ptx

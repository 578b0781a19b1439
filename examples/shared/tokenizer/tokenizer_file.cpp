// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tokenizer_file.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

#include "byte_alphabet.hpp"

namespace dlm {

namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& field, const std::string& was, const std::string& expected) {
    throw std::runtime_error(field + " is " + was + ", expected " + expected);
}

std::string short_text(const json& value) {
    const std::string text = value.dump();
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

// A field that may be missing or null, which then is `otherwise`.
template <class Value>
Value field(const json& object, const std::string& path, const char* name, Value otherwise) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) {
        return otherwise;
    }
    try {
        return found->get<Value>();
    } catch (const json::exception&) {
        fail(path + "." + name, short_text(*found), "a value of another type");
    }
}

std::string type_of(const json& object, const std::string& path) {
    if (!object.is_object()) {
        fail(path, short_text(object), "an object");
    }
    return field<std::string>(object, path, "type", "");
}

const json& list_of(const json& object, const std::string& path, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_array()) {
        fail(path + "." + name, found == object.end() ? "missing" : short_text(*found), "a list");
    }
    return *found;
}

std::vector<normal_form> forms_of(const json& normalizer, const std::string& path) {
    if (normalizer.is_null()) {
        return {};
    }
    const std::string type = type_of(normalizer, path);
    if (type == "Sequence") {
        std::vector<normal_form> forms;
        for (const json& each : list_of(normalizer, path, "normalizers")) {
            const auto inner = forms_of(each, path + ".normalizers");
            forms.insert(forms.end(), inner.begin(), inner.end());
        }
        return forms;
    }
    constexpr std::array names = {std::pair{"NFC", normal_form::nfc}, std::pair{"NFD", normal_form::nfd},
                                  std::pair{"NFKC", normal_form::nfkc}, std::pair{"NFKD", normal_form::nfkd}};
    for (const auto& [name, form] : names) {
        if (type == name) {
            return {form};
        }
    }
    fail(path + ".type", "'" + type + "'", "NFC, NFD, NFKC, NFKD or Sequence");
}

split_behavior behavior_of(const json& object, const std::string& path) {
    const auto name = field<std::string>(object, path, "behavior", "");
    constexpr std::array names = {std::pair{"Isolated", split_behavior::isolated},
                                  std::pair{"Removed", split_behavior::removed},
                                  std::pair{"Contiguous", split_behavior::contiguous},
                                  std::pair{"MergedWithPrevious", split_behavior::merged_with_previous},
                                  std::pair{"MergedWithNext", split_behavior::merged_with_next}};
    for (const auto& [known, behavior] : names) {
        if (name == known) {
            return behavior;
        }
    }
    fail(path + ".behavior", "'" + name + "'", "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext");
}

regex pattern_of(const json& object, const std::string& path) {
    const json pattern = field<json>(object, path, "pattern", nullptr);
    if (pattern.is_object() && pattern.size() == 1 && pattern.begin()->is_string()) {
        const std::string kind = pattern.begin().key();
        const auto text = pattern.begin()->get<std::string>();
        if (kind == "Regex" || kind == "String") {
            return kind == "Regex" ? regex(text) : regex::literal(text);
        }
    }
    fail(path + ".pattern", short_text(pattern), "an object with Regex or String");
}

// Adds what a pre-tokenizer does to the splitter. Byte-level must come, once, and last: what came after it would see
// another alphabet.
void add_splits(const json& object, const std::string& path, word_splitter& splitter, bool& bytes) {
    const std::string type = object.is_null() ? "null" : type_of(object, path);
    if (bytes) {
        fail(path, "'" + type + "' after ByteLevel", "ByteLevel as the last");
    }
    if (type == "Sequence") {
        for (const json& each : list_of(object, path, "pretokenizers")) {
            add_splits(each, path + ".pretokenizers", splitter, bytes);
        }
    } else if (type == "Split") {
        splitter.splits.push_back(
            {pattern_of(object, path), behavior_of(object, path), field(object, path, "invert", false)});
    } else if (type == "Digits") {
        const bool each = field(object, path, "individual_digits", false);
        splitter.splits.push_back(
            {regex(R"(\p{N})"), each ? split_behavior::isolated : split_behavior::contiguous, false});
    } else if (type == "Punctuation") {
        splitter.splits.push_back({regex(R"([\p{P}!-/:-@\[-`{-~])"), behavior_of(object, path), false});
    } else if (type == "ByteLevel") {
        bytes = true;
        splitter.leading_space = field(object, path, "add_prefix_space", true);
        if (field(object, path, "use_regex", true)) {
            splitter.last =
                word_split{regex(R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)")};
        }
    } else {
        fail(path + ".type", "'" + type + "'", "Sequence, Split, Digits, Punctuation or ByteLevel");
    }
}

word_splitter splitter_of(const json& pre_tokenizer) {
    word_splitter splitter;
    bool bytes = false;
    add_splits(pre_tokenizer, "pre_tokenizer", splitter, bytes);
    if (!bytes) {
        fail("pre_tokenizer", short_text(pre_tokenizer), "one with ByteLevel at its end");
    }
    return splitter;
}

void check_decoder(const json& decoder, const std::string& path) {
    const std::string type = decoder.is_null() ? "null" : type_of(decoder, path);
    if (type == "Sequence") {
        for (const json& each : list_of(decoder, path, "decoders")) {
            check_decoder(each, path + ".decoders");
        }
    } else if (type != "ByteLevel") {
        fail(path + ".type", "'" + type + "'", "ByteLevel");
    }
}

// The tokens that a post-processor puts before and behind a text.
void add_frame(const json& object, const std::string& path, tokenizer_file& file) {
    const std::string type = object.is_null() ? "ByteLevel" : type_of(object, path);
    if (type == "Sequence") {
        for (const json& each : list_of(object, path, "processors")) {
            add_frame(each, path + ".processors", file);
        }
        return;
    }
    if (type == "ByteLevel") { // about offsets only
        return;
    }
    if (type != "TemplateProcessing") {
        fail(path + ".type", "'" + type + "'", "ByteLevel, TemplateProcessing or Sequence");
    }
    std::vector<token_t> before;
    std::vector<token_t> after;
    bool text_seen = false;
    for (const json& piece : list_of(object, path, "single")) {
        if (piece.contains("Sequence")) {
            text_seen = true;
            continue;
        }
        const json& special = piece.at("SpecialToken");
        for (const json& id : object.at("special_tokens").at(special.at("id").get<std::string>()).at("ids")) {
            (text_seen ? after : before).push_back(id.get<token_t>());
        }
    }
    file.before.insert(file.before.begin(), before.begin(), before.end());
    file.after.insert(file.after.end(), after.begin(), after.end());
}

// Puts a token's bytes in their place. A word with characters outside the alphabet stands for itself.
void place(tokenizer_file& file, const std::string& word, token_t id, const byte_alphabet& alphabet) {
    constexpr token_t most = 1 << 24;
    if (id < 0 || id >= most) {
        fail("the id of '" + word + "'", std::to_string(id), "at least 0 and below " + std::to_string(most));
    }
    file.bytes.resize(std::max(file.bytes.size(), static_cast<std::size_t>(id) + 1));
    file.bytes[static_cast<std::size_t>(id)] = alphabet.bytes_of(word).value_or(word);
}

std::pair<std::string, std::string> pair_of(const json& merge) {
    if (merge.is_array() && merge.size() == 2) {
        return {merge[0].get<std::string>(), merge[1].get<std::string>()};
    }
    const auto text = merge.is_string() ? merge.get<std::string>() : "";
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        fail("one of model.merges", short_text(merge), "two words with a space between them, or a list of two");
    }
    return {text.substr(0, space), text.substr(space + 1)};
}

byte_pairs pairs_of(const json& model, const std::unordered_map<std::string, token_t>& vocabulary) {
    const byte_alphabet alphabet;
    std::array<token_t, 256> bytes{};
    bytes.fill(-1);
    for (const auto& [word, id] : vocabulary) {
        if (const auto meant = alphabet.bytes_of(word); meant && meant->size() == 1) {
            bytes[static_cast<unsigned char>(meant->front())] = id;
        }
    }
    if (const auto missing = std::find(bytes.begin(), bytes.end(), -1); missing != bytes.end()) {
        fail("model.vocab", "without byte " + std::to_string(missing - bytes.begin()), "a token for each of 256 bytes");
    }
    byte_pairs pairs(bytes);
    const auto id_of = [&vocabulary](const std::string& word) {
        const auto found = vocabulary.find(word);
        if (found == vocabulary.end()) {
            fail("a word of model.merges", "'" + word + "'", "a word of model.vocab, as are its parts");
        }
        return found->second;
    };
    for (const json& merge : list_of(model, "model", "merges")) {
        const auto [left, right] = pair_of(merge);
        pairs.add(id_of(left), id_of(right), id_of(left + right));
    }
    return pairs;
}

void check_model(const json& model) {
    if (const std::string type = type_of(model, "model"); type != "BPE") {
        fail("model.type", "'" + type + "'", "BPE");
    }
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        if (const auto text = field<std::string>(model, "model", name, ""); !text.empty()) {
            fail(std::string("model.") + name, "'" + text + "'", "none");
        }
    }
    if (const auto dropout = field(model, "model", "dropout", 0.0); dropout != 0.0) {
        fail("model.dropout", std::to_string(dropout), "none");
    }
}

tokenizer_file parsed(const json& root) {
    if (!root.is_object() || !root.contains("model")) {
        fail("the file", short_text(root), "an object with model, pre_tokenizer and decoder");
    }
    const json none = nullptr;
    const auto part = [&](const char* name) -> const json& { return root.contains(name) ? root.at(name) : none; };
    const json& model = part("model");
    check_model(model);
    check_decoder(part("decoder"), "decoder");
    const auto vocabulary = model.at("vocab").get<std::unordered_map<std::string, token_t>>();
    const std::vector<normal_form> forms = forms_of(part("normalizer"), "normalizer");
    const byte_alphabet alphabet;

    std::vector<added_token> verbatim;
    std::vector<added_token> in_normal_form;
    std::unordered_map<std::string, token_t> added;
    std::unordered_set<token_t> special;
    const json& tokens = root.contains("added_tokens") ? list_of(root, "the file", "added_tokens") : none;
    for (const json& token : tokens) {
        added_token made{token.at("content").get<std::string>(), token.at("id").get<token_t>(), false, false, false};
        const std::string path = "the added token '" + made.content + "'";
        made.single_word = field(token, path, "single_word", false);
        made.strip_left = field(token, path, "lstrip", false);
        made.strip_right = field(token, path, "rstrip", false);
        added[made.content] = made.id;
        if (field(token, path, "special", false)) {
            special.insert(made.id);
        }
        const bool normalizes = field(token, path, "normalized", true);
        for (const normal_form form : normalizes ? forms : std::vector<normal_form>()) {
            made.content = normalized(made.content, form);
        }
        (normalizes ? in_normal_form : verbatim).push_back(std::move(made));
    }

    tokenizer_file file{.verbatim = added_tokens(verbatim),
                        .forms = forms,
                        .normalized = added_tokens(in_normal_form),
                        .splitter = splitter_of(part("pre_tokenizer")),
                        .words = {},
                        .pairs = pairs_of(model, vocabulary),
                        .before = {},
                        .after = {},
                        .bytes = {},
                        .special = std::move(special),
                        .added = std::move(added)};
    for (const auto& [word, id] : vocabulary) {
        place(file, word, id, alphabet);
    }
    for (const auto* list : {&verbatim, &in_normal_form}) {
        for (const added_token& token : *list) {
            place(file, token.content, token.id, alphabet);
        }
    }
    if (field(model, "model", "ignore_merges", false)) {
        for (const auto& [word, id] : vocabulary) {
            if (const auto meant = alphabet.bytes_of(word)) {
                file.words[*meant] = id;
            }
        }
    }
    add_frame(part("post_processor"), "post_processor", file);
    return file;
}

} // namespace

tokenizer_file read_tokenizer_file(const std::string& path) {
    std::ifstream stream(path);
    if (!stream) {
        throw std::runtime_error(path + ": can't be opened");
    }
    return parse_tokenizer_file({std::istreambuf_iterator<char>(stream), {}}, path);
}

tokenizer_file parse_tokenizer_file(const std::string& contents, const std::string& name) {
    try {
        return parsed(json::parse(contents));
    } catch (const std::exception& error) { // json's own say where
        throw std::runtime_error(name + ": " + error.what());
    }
}

} // namespace dlm

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>

#include "generation.hpp"
#include "weights_file.hpp"

// Texts to show to a model, where the user has none.

namespace pretrained {

/// The paragraphs of a file, each in one line, of at least this many characters.
inline std::vector<std::string> paragraphs_of(const std::string& path, std::size_t least) {
    std::ifstream file(path);
    if (!file) {
        throw std::runtime_error("cannot read " + path);
    }
    std::vector<std::string> paragraphs;
    std::string paragraph;
    for (std::string line; file;) {
        std::getline(file, line);
        const std::size_t begin = line.find_first_not_of(" \t\r");
        if (begin != std::string::npos) {
            paragraph += (paragraph.empty() ? "" : " ") + line.substr(begin);
        }
        if ((begin == std::string::npos || !file) && !paragraph.empty()) {
            if (paragraph.size() >= least) {
                paragraphs.push_back(paragraph);
            }
            paragraph.clear();
        }
        line.clear();
    }
    return paragraphs;
}

/// Reactions of an acid with an amine to an amide and water, each acid with each amine.
inline std::vector<std::string> amide_reactions() {
    const std::vector<std::string> acids = {"CC",         "CCC",          "C(C)(C)C",  "c1ccccc1",
                                            "COc1ccccc1", "c1ccc(Cl)cc1", "CC(F)(F)F", "CCC(=O)OC"};
    const std::vector<std::string> amines = {"CC", "Cc1ccccc1", "C1CCCCC1", "CCOC"};
    std::vector<std::string> reactions;
    for (const std::string& acid : acids) {
        for (const std::string& amine : amines) {
            reactions.push_back("OC(=O)" + acid + ".N" + amine + ">>O=C(N" + amine + ")" + acid + ".O");
        }
    }
    return reactions;
}

/// The first `count` of the texts for a model: the paragraphs of this project's licence for English, reactions for
/// RXNMapper, and for models of antibodies what Sapiens writes.
inline std::vector<std::string> texts_for(const loaded_model& model, const std::string& folder,
                                          const unmask::cpu_executor& exec, index_t count) {
    std::vector<std::string> texts;
    if (model.description->tokens == tokens_of_text::word_piece) {
        texts = paragraphs_of(LICENCE, 50);
    } else if (model.description->tokens == tokens_of_text::smiles) {
        texts = amide_reactions();
    } else {
        const std::string chain = model.description->name == "sapiens_light" ? "sapiens_light" : "sapiens_heavy";
        const loaded_model writer = load_model(chain, folder);
        encoder_denoiser denoiser(writer, exec);
        unmask::canvas page = empty_antibodies(writer, count);
        generate({}, denoiser, writer, exec, page, 1);
        for (index_t i = 0; i < count; ++i) {
            texts.push_back(writer.tokens.decode(page.tokens(i)));
        }
    }
    if (std::ssize(texts) < count) {
        throw std::invalid_argument("--samples is " + std::to_string(count) + ", expected at most " +
                                    std::to_string(texts.size()) + ", for which there are texts");
    }
    texts.resize(static_cast<std::size_t>(count));
    return texts;
}

} // namespace pretrained

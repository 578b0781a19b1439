// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// Is a sequence of amino acids built like the variable domain of an antibody's heavy chain?

namespace pretrained {

/// Does it have the frame that holds such a domain together, and its J motif: cysteine, tryptophan, cysteine, and then
/// W G x G? In IMGT's numbering (Lefranc et al. 2003) they are at 23, 41, 104 and 118–121; loops of different lengths
/// lie between them, so the distances are ranges here. What is before may be cut short, as it often is in the sequences
/// that Sapiens was trained on.
inline bool has_antibody_frame(std::string_view text) {
    const auto is = [&](std::size_t place, char letter) { return place < text.size() && text[place] == letter; };
    for (std::size_t first = 0; first <= 27; ++first) {
        for (std::size_t tryptophan = first + 12; is(first, 'C') && tryptophan <= first + 18; ++tryptophan) {
            for (std::size_t second = tryptophan + 54; is(tryptophan, 'W') && second <= tryptophan + 66; ++second) {
                for (std::size_t motif = second + 4; is(second, 'C') && motif <= second + 40; ++motif) {
                    if (is(motif, 'W') && is(motif + 1, 'G') && is(motif + 3, 'G')) {
                        return true;
                    }
                }
            }
        }
    }
    return false;
}

/// Heavy chains of three antibodies that are medicines: trastuzumab, pembrolizumab and sarilumab.
inline const std::vector<std::string> real_antibodies = {
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGT"
    "LVTVSS",
    "QVQLVQSGVEVKKPGASVKVSCKASGYTFTNYYMYWVRQAPGQGLEWMGGINPSNGGTNFNEKFKNRVTLTTDSSTTTAYMELKSLQFDDTAVYYCARRDYRFDMGFDYWGQGT"
    "TVTVSS",
    "EVQLVESGGGLVQPGRSLRLSCAASGFTFDDYAMHWVRQAPGKGLEWVSGINWSSGGIGYADSVKGRFTISRDNAKNSLYLQMNSLRAEDTALYYCARDIGGFGEFYWNFGLWG"
    "RGTLVTVSS"};

/// Of texts that a model wrote: how many there are, have the frame, and are unlike all before.
struct antibody_quality {
    std::size_t texts = 0;
    std::size_t framed = 0;
    std::size_t distinct = 0;
};

inline antibody_quality quality_of(const std::vector<std::string>& texts) {
    antibody_quality quality;
    std::set<std::string> seen;
    for (const std::string& text : texts) {
        ++quality.texts;
        quality.framed += has_antibody_frame(text) ? 1 : 0;
        quality.distinct += seen.insert(text).second ? 1 : 0;
    }
    return quality;
}

} // namespace pretrained

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Doxygen's input filter. What a concept asks of a type is documented at the concept, once: here each such member of the
# library's own types gets a reference to it. Members of a struct are indented by four spaces.

# mask_policy
s:^    UNMASK_HOST_DEVICE constexpr [^(]*(visible|classify|key_ranges|query_ranges|row)\(:    /** See mask_policy. */ &:
s:^    (UNMASK_HOST_DEVICE )?constexpr mask_fault fault\(\) const:    /** See mask_policy. */ &:

# sink_policy
s:^    static constexpr bool (present|has_key|has_value) =:    /** See sink_policy. */ &:
s:^    UNMASK_HOST_DEVICE (static )?constexpr [^(]*(logit|key|value)\(:    /** See sink_policy. */ &:

# policy_kind, and the concepts of the kinds
s:^    static constexpr auto kind =:    /** See policy_kind. */ &:
s:^    (constexpr )?void check\(\) const:    /** See policy_kind. */ &:
s:^    static constexpr bool per_block =:    /** See schedule_policy. */ &:
s:^    .*[ ](masked_share|quota)\(:    /** See schedule_policy. */ &:
s:^    static constexpr bool logarithmic =:    /** See score_policy. */ &:
s:^    .*score operator\(\)\(const candidate& :    /** See score_policy. */ &:
s:^    static constexpr bool before_model =:    /** See selector_policy. */ &:
s:^    static constexpr int rankings =:    /** See selector_policy. */ &:
s:^    UNMASK_HOST_DEVICE double rank_by\(:    /** See selector_policy. */ &:
s:^    UNMASK_HOST_DEVICE void choose\(:    /** See selector_policy. */ &:
s:^    drawn operator\(\)\(std..span<const float> :    /** See draw_policy. */ &:
s:^    .*operator\(\)\(const canvas& .*index_t .*\) const:    /** See stop_policy. */ &:
s:^    void operator\(\)\(const canvas& .*std..span<float> logits:    /** See logits_policy. */ &:
s:^    void operator\(\)\(std..span<float> conditional:    /** See guidance_policy. */ &:
s:^    struct memory :    /** See corruption_policy. */ &:
s:^    using memory =:    /** See logits_policy. */ &:
s:^    static constexpr bool (uniform|selects|reads_committed|verifies) =:    /** See corruption_policy. */ &:
s:^    .*[ ](extra_calls|goes_on|before)\(.*corruption_step|^    .*[ ]extra_calls\(:    /** See corruption_policy. */ &:
s:^    void operator\(\)\(std..span<candidate> .*corruption_step&:    /** See corruption_policy. */ &:
s:^    .*position_range recompute\(:    /** The positions that a call computes if it is not a refresh. */ &:

# sink_definition
s:^    void operator\(\)\(std..span<const double> received, :    /** See sink_definition. */ &:
s:^    .*description\(\) const:    /** See sink_definition. */ &:

# comparisons, deduction guides, specialisations
s:^    friend constexpr .*operator(==|<=>)\(.*= default;:    /** Memberwise. */ &:
s:^[a-z_]+\(.*\) -> :/** Deduction guide. */ &:
s:^inline constexpr bool looks_back<:/** See looks_back. */ &:

# a nested namespace that Doxygen can't read
s:inline UNMASK_ABI_NAMESPACE\:\:::

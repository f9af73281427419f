#pragma once
// The "indexed" query of RFC 3875 section 4.4: `?a+b` as command-line arguments, for programs that still want it.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/head.h"

namespace fivefold::gateway {

inline constexpr std::size_t kMaxIndexWords = 256;    // more words than this: none at all
inline constexpr std::size_t kMaxIndexBytes = 32768;  // a longer query: none at all

// The decoded words, or none: only for GET and HEAD, only without an unencoded '='. All or nothing: a bad escape, a
// NUL, a word that begins with '-' (it would be an option: CVE-2012-1823, CVE-2024-4577) or too many words make it
// none.
std::vector<std::string> index_words(http::Method method, std::string_view query);

}  // namespace fivefold::gateway

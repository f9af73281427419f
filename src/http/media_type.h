#pragma once
// Which Content-Type a file's name says.
#include <string_view>

namespace fivefold::http {

// By the last suffix, ignoring case; text types carry "; charset=utf-8". "application/octet-stream" for unknown ones.
std::string_view media_type_of(std::string_view file_name);

// Whether compressing such a body is worth the work: text, JavaScript, JSON, XML, SVG, fonts that are not compressed,
// wasm.
bool is_compressible(std::string_view content_type);

}  // namespace fivefold::http

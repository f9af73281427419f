// Paths of any bytes: what comes out is one normal form, and normalizing that once more changes nothing.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/text.h"
#include "http/target.h"

using namespace fivefold;
using namespace fivefold::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  std::string path = "from before";
  const auto result = normalize_path(raw, path);
  if (!result) {
    require(result.error().code == Code::bad_request || result.error().code == Code::not_found);
    return 0;
  }
  require(path.starts_with('/'));
  require(path.size() <= raw.size());
  for (const std::string_view never : {"//", "/./", "/../"}) require(path.find(never) == std::string::npos);
  require(!path.ends_with("/.") && !path.ends_with("/.."));
  for (const char c : path) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  std::string again;
  require(normalize_path(percent_encode_path(path), again).has_value());
  require(again == path);
  return 0;
}

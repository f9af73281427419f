#include <cstdlib>
#include <string_view>

#include "serve/proxy_protocol.h"

// Whatever a connection begins with, the parser says "more", "no", or takes no more than it was given.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = fivefold::serve::parse_proxy_header(bytes);
  if (header && header->consumed > size) std::abort();
  return 0;
}

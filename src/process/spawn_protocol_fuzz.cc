// Whatever a compromised server sends, the helper's view of it stays inside the message.
#include <cstddef>
#include <cstdint>
#include <string>

#include "process/spawn_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fivefold::process;
  std::string message(reinterpret_cast<const char*>(data), size);
  SpawnRequest request;
  if (parse_spawn(message, request)) {
    std::string body(request.rest);
    body.resize(request.body_size, 'x');
    SpawnStrings strings;
    if (parse_body(request.header, body, strings)) {
      const char* const begin = body.data();
      const char* const end = begin + body.size();
      for (const auto* pointers : {&strings.argv, &strings.envp}) {
        if (pointers->empty() || pointers->back() != nullptr) __builtin_trap();
        for (std::size_t i = 0; i + 1 < pointers->size(); ++i)
          if ((*pointers)[i] < begin || (*pointers)[i] >= end) __builtin_trap();
      }
      if (strings.keep.data() + strings.keep.size() != end) __builtin_trap();
      if (request.header.descriptor_count() > kMaxDescriptors) __builtin_trap();
    }
  }
  std::vector<ReleaseEntry> releases;
  (void)parse_release(message, releases);
  AdoptedMessage adopted;
  std::string_view keep;
  if (parse_adopted(message, adopted, keep) && keep.data() + keep.size() != message.data() + message.size())
    __builtin_trap();
  (void)parse_identities(message);
  IdentityPieces pieces;
  for (std::size_t half : {size / 2, size}) (void)pieces.feed(std::string_view(message).substr(size - half));
  return 0;
}

#pragma once
// zlib, brotli and zstd behind one streaming interface. One object compresses one response and is never shared.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/negotiate.h"

namespace fivefold::serve {

class Compressor {
 public:
  enum class Step : std::uint8_t {
    go_on,   // output may be held back for a better ratio
    flush,   // the receiver can decode everything given so far
    finish,  // the stream ends; nothing may follow
  };
  virtual ~Compressor() = default;
  // Appends what is ready to `out`. Code::out_of_resources or Code::internal when the library fails.
  virtual Result<void> compress(std::string_view input, Step step, std::string& out) = 0;
};

// `size` is how much will be compressed in all, when that is known: small bodies get small windows. Memory for each at
// the default levels, measured: gzip 0.26 MB, br 1.7 MB, zstd 1.6 MB. Null when the library has no memory.
std::unique_ptr<Compressor> make_compressor(http::Coding coding, int level, std::optional<std::uint64_t> size);

}  // namespace fivefold::serve

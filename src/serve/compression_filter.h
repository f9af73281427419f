#pragma once
// Compresses responses on the fly: zstd, br or gzip by Accept-Encoding.
#include <memory>

#include "config/config.h"
#include "exchange/exchange.h"

namespace fivefold::serve {

// A response is compressed when its type is compressible (settings.types or the built-in list), it has no
// Content-Encoding and no Cache-Control: no-transform, its length is unknown or at least min_size, it is complete (200;
// not 204, 206, 304) and the client accepts a coding. Adds Vary: Accept-Encoding to everything it could have
// compressed, and weakens a strong ETag (RFC 9110 section 8.8.1).
std::shared_ptr<exchange::Filter> make_compression_filter(const config::CompressionSettings& settings);

}  // namespace fivefold::serve

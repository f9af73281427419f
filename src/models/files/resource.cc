#include "models/files/resource.h"

namespace fivefold::models::files {
namespace {

std::size_t memory_of(const Variant& variant) {
  return variant.content.capacity() + variant.etag.capacity() + variant.headers.wire().capacity() +
         variant.not_modified.wire().capacity();
}

}  // namespace

std::size_t Resource::memory() const {
  std::size_t bytes = sizeof *this + precompressed.capacity() * sizeof(Variant) + memory_of(whole);
  for (const Variant& variant : precompressed) bytes += memory_of(variant);
  return bytes;
}

std::size_t Resource::descriptors() const {
  std::size_t count = whole.fd ? 1 : 0;
  for (const Variant& variant : precompressed) count += variant.fd ? 1 : 0;
  return count;
}

}  // namespace fivefold::models::files

#include "http/media_type.h"

#include <gtest/gtest.h>

#include <string>

namespace fivefold::http {
namespace {

TEST(MediaType, Table) {
  const std::pair<const char*, const char*> rows[] = {
      {"index.html", "text/html; charset=utf-8"},
      {"INDEX.HTM", "text/html; charset=utf-8"},
      {"/a/b.css", "text/css; charset=utf-8"},
      {"a.js", "text/javascript; charset=utf-8"},
      {"a.mjs", "text/javascript; charset=utf-8"},
      {"a.json", "application/json"},
      {"a.svg", "image/svg+xml"},
      {"a.png", "image/png"},
      {"a.JPEG", "image/jpeg"},
      {"a.woff2", "font/woff2"},
      {"a.wasm", "application/wasm"},
      {"a.tar.gz", "application/gzip"},
      {"a.txt", "text/plain; charset=utf-8"},
      {"a.xml", "application/xml"},
      {"a.mp4", "video/mp4"},
      {"a.webmanifest", "application/manifest+json"},
      {"a.7z", "application/x-7z-compressed"},
      {"a.zst", "application/zstd"},
      {".html", "text/html; charset=utf-8"},
      {"a", "application/octet-stream"},
      {"a.", "application/octet-stream"},
      {"", "application/octet-stream"},
      {"html", "application/octet-stream"},
      {"a.html.unknown", "application/octet-stream"},
      {"a.html~", "application/octet-stream"},
      {"folder.html/file", "application/octet-stream"},
      {"a.suffixlongerthanany", "application/octet-stream"},
  };
  for (const auto& [name, type] : rows) EXPECT_EQ(media_type_of(name), type) << name;
  EXPECT_EQ(media_type_of("a." + std::string(10'000, 'x')), "application/octet-stream");
}

TEST(MediaType, Compressible) {
  for (const char* type :
       {"text/html; charset=utf-8", "TEXT/CSS", "text/javascript", "application/json", "application/ld+json;x=y",
        "image/svg+xml", "application/xml", "application/wasm", "font/ttf", "application/javascript"})
    EXPECT_TRUE(is_compressible(type)) << type;
  for (const char* type : {"", "image/png", "font/woff2", "application/octet-stream", "application/zip", "video/mp4",
                           "text/event-stream", "texthtml"})
    EXPECT_FALSE(is_compressible(type)) << type;
}

}  // namespace
}  // namespace fivefold::http

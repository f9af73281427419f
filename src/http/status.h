#pragma once
// Status codes and their reason phrases.
#include <string_view>

namespace fivefold::http {

// "Not Found" for 404; "Unknown" for a code without a registered phrase.
std::string_view reason_phrase(int status);

// "HTTP/1.1 404 Not Found\r\n" for a registered status; empty for others, whose line the serializer makes.
std::string_view status_line(int status);

}  // namespace fivefold::http

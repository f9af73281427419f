#pragma once
// What a header of a response may look like, and which are not an application's to send.
#include <string_view>

namespace fivefold::python {

// A token (RFC 9110 section 5.6.2).
bool is_token(std::string_view text);
// No control character but the tab (RFC 9110 section 5.5).
bool is_value(std::string_view text);
// Whether `text` is `lower` when its letters are made small.
bool equals_lower(std::string_view text, std::string_view lower);
// Headers of a connection and not of a response: PEP 3333 forbids an application to send them ("Other HTTP Features").
bool is_hop_by_hop(std::string_view name);

}  // namespace fivefold::python

#pragma once
// The files .user.ini in the folders from the document root down to the script.
#include <string_view>

namespace fivefold::worker::php {

// Applies them to the request that begins: the settings that the engine allows per directory. Files are read again
// after user_ini.cache_ttl (300 s); user_ini.filename names another file, or none.
void activate_user_ini(std::string_view document_root, std::string_view script);

}  // namespace fivefold::worker::php

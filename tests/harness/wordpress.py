"""WordPress as Debian's package has it, with a configuration, content and database of its own."""
import os
import pathlib
import shutil

from .application import needs

PACKAGE = pathlib.Path("/usr/share/wordpress")
THEME = PACKAGE / "wp-content/themes/twentytwentyone"
needs_wordpress = needs(PACKAGE / "wp-login.php", THEME / "style.css", "/usr/sbin/mariadbd", "mariadb", "mariadb-install-db")

# What the site's program is besides its root.
SETTINGS = """
symlinks   = "follow"
no_scripts = "wp-content/uploads"
"""


def lay_out(folder, database, name="wordpress"):
    """The folder of the site. Its configuration and content are its own; what never looks for them is a link to the package's."""
    root = folder.mkdir("site")
    for entry in PACKAGE.iterdir():
        if entry.name == "wp-includes":
            os.symlink(entry, root / entry.name)
        elif entry.is_dir() and entry.name != "wp-content":
            shutil.copytree(entry, root / entry.name)
        elif entry.suffix == ".php" and entry.name != "wp-config.php":
            shutil.copy(entry, root / entry.name)
    folder.mkdir("site/wp-content/themes")
    os.symlink(THEME, root / "wp-content/themes" / THEME.name)
    for each in ("uploads", "plugins", "upgrade"):
        folder.mkdir(f"site/wp-content/{each}", 0o777)
    # WordPress knows few servers by name; of others it thinks that they cannot send every address to index.php.
    folder.write("site/wp-content/mu-plugins/permalinks.php", "<?php add_filter('got_url_rewrite', '__return_true');\n")
    keys = "\n".join(f"define('{name}', '{name} of a test');" for name in ("AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT",
                                                                             "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT"))
    folder.write("site/wp-config.php", f"""<?php
define('DB_NAME', '{name}'); define('DB_USER', '{name}'); define('DB_PASSWORD', 'secret'); define('DB_HOST', 'localhost:{database.socket}');
define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
{keys}
define('WP_HTTP_BLOCK_EXTERNAL', true); define('WP_ACCESSIBLE_HOSTS', '127.0.0.1,localhost'); define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_DEFAULT_THEME', '{THEME.name}');
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
""")
    return root

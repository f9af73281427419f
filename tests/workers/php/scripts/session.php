<?php
session_save_path(getenv('SESSIONS'));
session_start();
$_SESSION['count'] = ($_SESSION['count'] ?? -1) + 1;
echo "Count: {$_SESSION['count']}";
if (isset($_GET['exit'])) {
    exit(1);
}

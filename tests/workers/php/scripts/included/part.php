<?php echo "included, ";

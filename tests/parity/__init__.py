"""Every family of estimators against scikit-learn, through SQL."""
